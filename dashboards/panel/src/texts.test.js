import { describe, expect, test } from 'vitest'
import { fill, named, texts } from './texts.js'

describe('texts', () => {
  const places = (text) => [...text.matchAll(/\{\w+\}/g)].map(([place]) => place).sort()

  test('both languages have the same keys, in the same order', () => {
    expect(Object.keys(texts('en'))).toEqual(Object.keys(texts('fr')))
  })
  test.each(Object.keys(texts('fr')))('%s has a text and the same places in both', (key) => {
    expect(texts('fr')[key]).not.toBe('')
    expect(places(texts('en')[key])).toEqual(places(texts('fr')[key]))
  })

  test.each([
    ['fr', 'CONNECTÉ'], ['fr-CA', 'CONNECTÉ'], ['de', 'CONNECTÉ'], ['', 'CONNECTÉ'], [undefined, 'CONNECTÉ'], [null, 'CONNECTÉ'],
    [42, 'CONNECTÉ'], ['en', 'CONNECTED'], ['en-GB', 'CONNECTED'], ['EN', 'CONNECTED'],
  ])('locale %s: %s', (locale, want) => {
    expect(texts(locale).connected).toBe(want)
  })

  // panel.md 4: users and screenshots know them.
  test('the French texts of the old panel', () => {
    const t = texts('fr')
    expect([
      t.title, t.connected, t.connecting, t.statistics, t.driver, t.utilization, t.temperature, t.memory_utilization, t.core_clock,
      t.memory_clock, t.power_usage, t.fan_speed, t.chart, t.video_memory, t.used, t.total, t.details, t.system_status, t.status,
      t.last_update, t.thermal_alerts, t.alert_hot, t.alert_critical, t.alert_load, t.alert_none, t.waiting, t.error_service,
      t.error_unreachable,
    ]).toEqual([
      'GPU MONITORING', 'CONNECTÉ', 'CONNEXION...', 'STATISTIQUES TEMPS RÉEL', 'Driver: {value}', 'UTILISATION GPU', 'TEMPÉRATURE',
      'UTILISATION VRAM', 'GPU Clock', 'Memory Clock', 'Power Usage', 'Fan Speed', 'GRAPHIQUE TEMPS RÉEL', 'MÉMOIRE VIDÉO',
      'Utilisée: {value}', 'Total: {value}', 'DÉTAILS & HISTORIQUE', 'État du Système', 'STATUT: {value}',
      'Dernière mise à jour: {value}', 'Alertes Thermiques', 'Température élevée: {value}°C', 'ALERTE: Température critique!',
      'GPU à pleine charge', 'Fonctionnement optimal', 'Connexion au GPU en cours...', 'Erreur de connexion au service GPU',
      'Impossible de se connecter au service GPU',
    ])
  })
})

describe('fill', () => {
  test.each([
    ['Driver: {value}', { value: '6.8' }, 'Driver: 6.8'],
    ['{a}, {b}, {a}', { a: 1, b: 0 }, '1, 0, 1'],
    ['{value}', { value: '{value} $& $1' }, '{value} $& $1'], // what a service says is put in as it is
    ['{value} s', {}, '{value} s'],
  ])('%s with %j', (text, values, want) => {
    expect(fill(text, values)).toBe(want)
  })
})

describe('named', () => {
  test.each([
    ['sensor', 'vr_soc', 'SoC regulator'],
    ['sensor', 'hbm12', 'HBM 12'],
    ['sensor', 'memory_channel3', 'Memory channel 3'],
    ['clock', 'graphics7', 'Graphics 7'],
    ['memory', 'bar1', 'BAR1'],
    ['state', 'asleep', 'Asleep'],
    ['throttle', 'power_brake', 'External power brake'],
    ['sensor', 'something_new', 'something_new'],
    ['sensor', '42', '42'],
    ['sensor', '', ''],
    ['sensor', '__proto__', '__proto__'],
    ['limit', 'constructor', 'constructor'],
  ])('%s %s is %s', (kind, name, want) => {
    expect(named(texts('en'), kind, name)).toBe(want)
  })

  // metrics.md 2a and 2b: the whole vocabulary.
  test.each(Object.entries({
    state: 'ok partial asleep hung gone',
    sensor: 'edge gpu package soc hotspot memory hbm0 vr_graphics vr_soc vr_memory pcie memory_controller memory_channel0 liquid plx ' +
      'skin cpu',
    limit: 'max critical emergency slowdown shutdown target current default min burst soft_min soft_max efficient boost',
    domain: 'board package graphics soc cpu memory module system npu',
    memory: 'vram visible_vram gtt bar1 shared unified',
    clock: 'graphics sm memory soc fabric video decoder display vpe npu graphics_requested video_requested',
    throttle: 'power thermal current voltage_regulator prochot hardware_slowdown hardware_thermal power_brake sync_boost ' +
      'clocks_setting display reliability board_limit other',
    band: 'optimal normal attention critical low high full nearly_full',
  }))('every %s has words in both languages', (kind, names) => {
    for (const locale of ['fr', 'en']) {
      const unknown = names.split(' ').filter((name) => {
        const key = `${kind}_${name}`
        return !(key in texts(locale)) && !(key.replace(/\d+$/, '') in texts(locale))
      })
      expect(unknown).toEqual([])
    }
  })
})
