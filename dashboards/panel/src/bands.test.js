import { describe, expect, test } from 'vitest'
import { alerts, band, COLOURS, lowestLimit, sensorBand, status } from './bands.js'

describe('band', () => {
  test.each([
    ['temperature', -5, 'optimal', '#00ff88'],
    ['temperature', 0, 'optimal', '#00ff88'],
    ['temperature', 49.9, 'optimal', '#00ff88'],
    ['temperature', 50, 'normal', '#00d4ff'],
    ['temperature', 69.9, 'normal', '#00d4ff'],
    ['temperature', 70, 'attention', '#ff9500'],
    ['temperature', 80, 'attention', '#ff9500'], // still: legacy-api.md 10
    ['temperature', 80.1, 'critical', '#ff3b30'],
    ['temperature', 1e9, 'critical', '#ff3b30'],
    ['utilization', 0, 'low', '#00ff88'],
    ['utilization', 29.9, 'low', '#00ff88'],
    ['utilization', 30, 'normal', '#00d4ff'],
    ['utilization', 70, 'high', '#ff9500'],
    ['utilization', 95, 'high', '#ff9500'],
    ['utilization', 95.1, 'full', '#ff3b30'],
    ['memory_utilization', 69.9, 'normal', '#00ff88'],
    ['memory_utilization', 70, 'high', '#ff9500'],
    ['memory_utilization', 90, 'high', '#ff9500'],
    ['memory_utilization', 90.1, 'nearly_full', '#ff3b30'],
  ])('%s %d is %s', (quantity, value, name, colour) => {
    expect(band(quantity, value)).toMatchObject({ name, colour })
  })

  test.each([null, undefined, NaN, Infinity, '70'])('of %s there is none', (value) => {
    expect(band('temperature', value)).toBe(null)
  })
})

describe('sensorBand', () => {
  const hotspot = { critical: 110, emergency: 115 }
  test.each([
    ['far below its limit', 31, hotspot, 'optimal'],
    ['warm, far below its limit', 95, hotspot, 'normal'],
    ['ten degrees below', 100, hotspot, 'normal'],
    ['less than ten degrees below', 100.5, hotspot, 'attention'],
    ['at its limit', 110, hotspot, 'attention'],
    ['above', 110.5, hotspot, 'critical'],
    ['the lowest limit counts', 101, { shutdown: 105, slowdown: 100 }, 'critical'],
    ['a target is where it works', 84, { target: 83, slowdown: 99 }, 'normal'],
    ['without limits the documented bands count', 85, undefined, 'critical'],
    ['a target alone is no limit', 75, { target: 70 }, 'attention'],
    ['a limit of 0 is none', 60, { critical: 0 }, 'normal'],
  ])('%s: %d %j', (_, celsius, limits, name) => {
    expect(sensorBand(celsius, limits)).toEqual({ name, level: name, colour: COLOURS[name] })
  })

  test('without a reading there is none', () => {
    expect(sensorBand(null, hotspot)).toBe(null)
    expect(sensorBand(undefined, hotspot)).toBe(null)
  })

  test('lowestLimit', () => {
    expect(lowestLimit(hotspot)).toBe(110)
    expect(lowestLimit({ target: 83 })).toBe(null)
    expect(lowestLimit(undefined)).toBe(null)
  })
})

describe('status', () => {
  test.each([[0, 'healthy'], [84.9, 'healthy'], [85, 'warning'], [120, 'warning'], [null, null]])('%s: %s', (celsius, want) => {
    expect(status(celsius)).toBe(want)
  })
})

describe('alerts', () => {
  const all = (temperature, utilization, memory_utilization, { sensors = {}, throttle = null } = {}) =>
    alerts({ primary: { temperature, utilization, memory_utilization }, sensors, throttle })
      .map(({ severity, text, value }) => [severity, text, value])
  const fine = ['success', 'alert_none', '']
  const memory = (celsius, limits_celsius) => ({ edge: { celsius: 70 }, memory: { celsius, limits_celsius } })

  test.each([
    ['cool', [60, 50, 50], [fine]],
    ['at every limit exactly', [80, 95, 90], [fine]],
    ['above 80', [80.1, 50, 50], [['warning', 'alert_hot', '80.1']]],
    ['at 90 exactly', [90, 50, 50], [['warning', 'alert_hot', '90.0']]],
    ['above 90 the critical one alone', [90.1, 50, 50], [['error', 'alert_critical', '90.1']]],
    ['above 95 %', [60, 95.1, 50], [['info', 'alert_load', '95.1']]],
    ['VRAM above 90 %', [60, 50, 90.1], [['warning', 'alert_memory', '90.1']]],
    ['all of them', [95, 100, 99], [
      ['error', 'alert_critical', '95.0'], ['warning', 'alert_memory', '99.0'], ['info', 'alert_load', '100.0']]],
    ['unrounded, as the old service may be', [80.10000000000001, 50, 50], [['warning', 'alert_hot', '80.1']]],
    ['nothing known', [null, null, null], []],
    ['no word of success without a temperature', [null, 50, 50], []],
    ['full load without a temperature', [null, 99, null], [['info', 'alert_load', '99.0']]],
    ['a temperature alone', [50, null, null], [fine]],
    ['0 degrees are a temperature', [0, null, null], [fine]],
    ['another sensor above its limit', [70, 50, 50, { sensors: memory(110, { critical: 108 }) }], [['warning', 'alert_sensor_limit', '']]],
    ['that without a temperature', [null, 50, 50, { sensors: memory(110, { critical: 108 }) }], [['warning', 'alert_sensor_limit', '']]],
    ['at its limit', [70, 50, 50, { sensors: memory(108, { critical: 108 }) }], [fine]],
    ['above 80 with no limit known', [70, 50, 50, { sensors: memory(84) }], [['info', 'alert_sensor_hot', '']]],
    ['a temperature above 80 says it already', [85, 50, 50, { sensors: memory(110, { critical: 108 }) }], [['warning', 'alert_hot', '85.0']]],
    ['a sensor that was not read', [70, 50, 50, { sensors: { memory: { limits_celsius: { critical: 108 } } } }], [fine]],
    ['throttled for heat', [70, 50, 50, { throttle: ['thermal'] }], [['info', 'alert_throttle', '']]],
    ['by the hardware', [70, 50, 50, { throttle: ['power', 'hardware_thermal'] }], [['info', 'alert_throttle', '']]],
    ['by another chip\'s heat', [70, 50, 50, { throttle: ['prochot'] }], [['info', 'alert_throttle', '']]],
    ['throttled for power, as under any load', [70, 50, 50, { throttle: ['power'] }], [fine]],
    ['not throttled', [70, 50, 50, { throttle: [] }], [fine]],
  ])('%s', (_, values, want) => {
    expect(all(...values)).toEqual(want)
  })
})
