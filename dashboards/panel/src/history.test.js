import { describe, expect, test } from 'vitest'
import { aGPU, aGPUWithout } from './fakes.js'
import { readGpus } from './frames.js'
import { entryOf, LENGTH, newHistory, preload, push, segments } from './history.js'

const at = (time, utilization = 1) => ({ time, utilization, temperature: null, memory_utilization: null })
const told = (timestamp, utilization = 2) => ({ timestamp, utilization, temperature: null, memory_utilization: null })
const through = (...times) => times.map((time) => at(time)).reduce(push, newHistory())
const times = (history) => history.map(({ time }) => time)
const range = (from, to, step = 1) => Array.from({ length: Math.round((to - from) / step) + 1 }, (_, i) => from + i * step)

describe('push', () => {
  test.each([
    ['one after another', [1, 2, 3], [1, 2, 3]],
    ['the same reading again', [1, 1, 2, 2], [1, 2]],
    ['a late one', [1, 3, 2], [1, 3]],
    ['a few milliseconds early', [1, 1.96, 2.93], [1, 1.96, 2.93]],
    ['a service that reads five times a second', range(0, 3, 0.2), [0, 1, 2, 3]],
    ['a service that reads seldom', [0, 300, 600], [0, 300, 600]],
    ['the clock was set back', [5000, 5001, 1400, 1401], [1400, 1401]],
    ['the clock was set back a little', [5000, 5001, 4990, 4991], [4990, 4991]],
    ['as little as two bodies may come in the wrong order: it waits', [5000, 4998, 5001], [5000, 5001]],
    ['one absurd time does not last', [1e15, 1000, 1001], [1000, 1001]],
  ])('%s', (_, pushed, want) => {
    expect(times(through(...pushed)).map((time) => Math.round(time * 1000) / 1000)).toEqual(want)
  })

  test('the clock was set back by less than a minute: the newest point is the newest reading', () => {
    const before = range(1001, 1060).map((time) => at(time, 90))
    const since = range(1016, 1035).map((time) => at(time, 5)) // set back by 45 s, 20 s ago
    const [piece] = segments([...before, ...since].reduce(push, newHistory()), 'utilization', 1035)
    expect(piece.at(-1)).toEqual({ x: 1, value: 5 })
    expect(piece.every(({ value }) => value === 5)).toBe(true)
  })
  test('the last 60 are kept', () => {
    expect(times(through(...range(1, 100)))).toEqual(range(41, 100))
  })
  test('a second entry of the same time gives the very same history', () => {
    const history = through(1, 2)
    expect(push(history, at(2))).toBe(history)
  })
  test('the history before stays as it was', () => {
    const history = through(1, 2)
    push(history, at(3))
    expect(times(history)).toEqual([1, 2])
  })
})

describe('entryOf', () => {
  const entry = (gpu) => entryOf(readGpus({ schema: 1, timestamp: 9, gpus: [gpu] }).gpus[0])

  test('the time is that of the reading', () => {
    expect(entry(aGPU({ timestamp: 7 }))).toEqual({ time: 7, utilization: 2, temperature: 24, memory_utilization: 9.4 })
  })
  test('asleep: a time without values', () => {
    expect(entry(aGPUWithout('asleep', { timestamp: 7 }))).toEqual(
      { time: 7, utilization: null, temperature: null, memory_utilization: null })
  })
  test('never read: none', () => {
    expect(entry(aGPUWithout('hung', { timestamp: null }))).toBe(null)
  })
})

describe('preload', () => {
  test.each([
    ['before the first entry', [10, 11], [7, 8, 9], [7, 8, 9, 10, 11]],
    ['into an empty history', [], [7, 8, 9], [7, 8, 9]],
    ['in any order, some twice', [10], [9, 7, 8, 7, 9], [7, 8, 9, 10]],
    ['the entries that are there stay', [10, 11], [9.5, 10, 10.4, 11], [10, 11]],
    ['into the gap of a lost connection', [10, 20], [9, 12, 15, 19.5], [9, 10, 12, 15, 20]],
    ['newer ones are left to the frames', [10], [9, 11, 12], [9, 10]],
    ['recorded too often', [10], range(5, 9, 0.2), [5, 6, 7, 8, 9, 10]],
    ['nothing', [10], [], [10]],
  ])('%s', (_, pushed, recorded, want) => {
    const history = preload(through(...pushed), recorded.map((time) => told(time)))
    expect(times(history).map((time) => Math.round(time * 10) / 10)).toEqual(want)
  })

  test('60 at most, the newest', () => {
    const history = preload(through(1000, 1001), range(1, 999).map((time) => told(time)))
    expect(history).toHaveLength(LENGTH)
    expect(times(history)).toEqual(range(942, 1001))
  })
  test('values, and what was not known', () => {
    const [entry] = preload([], [{ timestamp: 1, utilization: 5, temperature: null, memory_utilization: 'x' }])
    expect(entry).toEqual({ time: 1, utilization: 5, temperature: null, memory_utilization: null })
  })
  test.each([[undefined], [null], ['x'], [{}], [[null, 3, 'x', {}, { timestamp: '1' }, { timestamp: NaN }]]])(
    '%j gives the very same history', (recorded) => {
    const history = through(10)
    expect(preload(history, recorded)).toBe(history)
  })
})

describe('segments', () => {
  const pieces = (history, now) =>
    segments(history, 'utilization', now).map((piece) => piece.map(({ x }) => Math.round(x * 60)))

  test.each([
    ['nothing', [], 100, []],
    ['one reading', [100], 100, [[60]]],
    ['time is the axis: few readings do not fill it', [98, 99, 100], 100, [[58, 59, 60]]],
    ['what is older than a minute is left out', [30, 39, 40, 41], 100, [[0, 1]]],
    ['up to 5 s apart is one piece', [90, 95, 100], 100, [[50, 55, 60]]],
    ['a gap', [80, 81, 82, 90, 91], 100, [[40, 41, 42], [50, 51]]],
    ['a service that reads every 10 s has no gaps', [60, 70, 80, 90, 100], 100, [[20, 30, 40, 50, 60]]],
    ['but for those that are missing', [40, 50, 60, 70, 100], 100, [[0, 10, 20, 30], [60]]],
    ['a little after now is now', [100, 101], 100, [[60, 60]]],
    ['far after now is left out', [99, 100, 110], 100, [[59, 60]]],
  ])('%s', (_, pushed, now, want) => {
    expect(pieces(through(...pushed), now)).toEqual(want)
  })

  test('an absent reading breaks the curve', () => {
    const history = [at(97), at(98, null), at(99), at(100)].reduce(push, newHistory())
    expect(pieces(history, 100)).toEqual([[57], [59, 60]])
  })
  test('values and places are exact', () => {
    expect(segments([at(85, 41.2), at(88, 0)], 'utilization', 100)).toEqual([[{ x: 0.75, value: 41.2 }, { x: 0.8, value: 0 }]])
  })
  test('another span', () => {
    expect(segments([at(5, 3)], 'utilization', 10, 10)).toEqual([[{ x: 0.5, value: 3 }]])
  })
})
