import { describe, expect, test } from 'vitest'
import { aBody, aGPU, aGPUWithout } from './fakes.js'
import { readGpus } from './frames.js'
import { absence, noteOf, warnings } from './notes.js'

const read = (gpu) => readGpus(aBody(1000, [gpu])).gpus[0]
const failed = { up: false } // metrics.md 2a: partial and not up is that all readings failed

describe('noteOf', () => {
  test.each([
    ['well', aGPU(), null],
    ['some readings failed', aGPU({ state: 'partial' }), ['warning', 'state_partial_explained']],
    ['all readings failed', aGPUWithout('partial', failed), ['error', 'state_failed']],
    ['asleep', aGPUWithout('asleep'), ['info', 'state_asleep_explained']],
    ['hung', aGPUWithout('hung'), ['error', 'state_hung_explained']],
    ['gone', aGPUWithout('gone'), ['error', 'state_gone_explained']],
    ['well, but its reading is too old to be served', aGPUWithout('ok', { up: true }), ['info', 'state_unread']],
    ['never read', aGPUWithout('ok', { up: true, timestamp: null }), null],
    ['of no state that is known', aGPU({ state: 'constructor' }), null],
  ])('%s', (_, gpu, want) => {
    const note = noteOf(read(gpu))
    expect(note && [note.severity, note.text]).toEqual(want)
  })
})

describe('warnings', () => {
  test.each([
    ['well', aGPU(), []],
    ['hot', aGPU({ primary: { temperature: 85 } }), ['alert_hot']],
    ['at full load, which is none', aGPU({ primary: { utilization: 99 } }), []],
    ['its memory above its own limit', aGPU({ sensors: { memory: { celsius: 110, limits_celsius: { critical: 108 } } } }),
      ['alert_sensor_limit']],
    ['throttled for heat, which the chip says', aGPU({ throttle: ['thermal'] }), []],
    ['hung', aGPUWithout('hung'), ['state_hung_explained']],
    ['gone', aGPUWithout('gone'), ['state_gone_explained']],
    ['all readings failed', aGPUWithout('partial', failed), ['state_failed']],
    ['some readings failed, as they may for ever', aGPU({ state: 'partial' }), []],
    ['asleep', aGPUWithout('asleep'), []],
  ])('%s', (_, gpu, want) => {
    expect(warnings(read(gpu)).map(({ text }) => text)).toEqual(want)
  })
})

describe('absence', () => {
  test.each([
    ['the hardware does not tell it', aGPU(), 'absent'],
    ['some readings failed', aGPU({ state: 'partial', primary: { temperature: null } }), 'state_partial_explained'],
    ['all failed', aGPUWithout('partial', failed), 'state_failed'],
    ['asleep', aGPUWithout('asleep'), 'state_asleep_explained'],
    ['too old to be served', aGPUWithout('ok', { up: true }), 'state_unread'],
    ['never read', aGPUWithout('ok', { timestamp: null }), 'absent'],
  ])('%s', (_, shown, want) => {
    expect(absence(read(shown))).toBe(want)
  })
})
