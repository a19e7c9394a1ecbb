import { describe, expect, test } from 'vitest'
import { aBody, aGPU, aGPUWithout, seeded, someStats } from './fakes.js'
import { hasReadings, MAX_TEXT, merge, readFrame, readGpus, readingAge, readStats, serviceNow } from './frames.js'
import { entryOf, newHistory, preload, push, segments } from './history.js'

const nothing = { version: null, timestamp: null, gpus: [] }

describe('readGpus', () => {
  test('a body comes through as it is', () => {
    const body = aBody(1000)
    const { schema, ...read } = body
    expect(readGpus(JSON.parse(JSON.stringify(body)))).toEqual({ ...read, gpus: [{ ...body.gpus[0], legacy: false }] })
  })

  test.each([
    ['null', null],
    ['a list', []],
    ['a text', 'gpus'],
    ['a number', 42],
    ['no schema', { ...aBody(1), schema: undefined }],
    ['a schema of another meaning', { ...aBody(1), schema: 2 }],
    ['a schema as text', { ...aBody(1), schema: '1' }],
    ['gpus that are no list', { ...aBody(1), gpus: {} }],
    ['no gpus', { ...aBody(1), gpus: null }],
    ['no time', { ...aBody(1), timestamp: null }],
    ['a time as text', { ...aBody(1), timestamp: '1000' }],
    ['NaN for a time', { ...aBody(1), timestamp: NaN }],
  ])('%s is no body', (_, body) => {
    expect(readGpus(body)).toBe(null)
  })

  test.each([
    ['null for a GPU', [null], []],
    ['GPUs of other types', [1, 'x', [], true], []],
    ['no identity', [aGPU({ gpu: undefined }), aGPU({ gpu: null }), aGPU({ gpu: '' }), aGPU({ gpu: 7 })], []],
    ['an endless identity', [aGPU({ gpu: 'x'.repeat(257) })], []],
    ['the same GPU twice: the first counts', [aGPU({ name: 'first' }), aGPU({ name: 'second' })], ['first']],
    ['names of prototypes', [aGPU({ gpu: '__proto__', name: 'a' }), aGPU({ gpu: 'constructor', name: 'b' })], ['a', 'b']],
  ])('%s', (_, gpus, names) => {
    expect(readGpus(aBody(1, gpus)).gpus.map(({ name }) => name)).toEqual(names)
  })

  test('at most 1024 GPUs', () => {
    const gpus = Array.from({ length: 5000 }, (_, i) => ({ gpu: `sim:${i}` }))
    expect(readGpus(aBody(1, gpus)).gpus).toHaveLength(1024)
  })

  test('a GPU of which only the identity is told has every key, and nothing in it', () => {
    expect(readGpus(aBody(1, [{ gpu: 'a' }])).gpus).toEqual([{
      gpu: 'a', index: 0, name: null, vendor: null, type: null, uuid: null, pci_id: null, driver: null, driver_version: null,
      vbios: null, source: null, simulated: false, state: 'gone', up: false, timestamp: null, age_seconds: null,
      primary: {
        temperature: null, utilization: null, memory_used: null, memory_total: null, memory_utilization: null, core_clock: null,
        memory_clock: null, power_usage: null, fan_speed: null, driver_version: null,
      },
      sensors: {}, margin_celsius: null, memory: {}, power: {}, clocks: {}, fans: [], throttle: null, pcie: {}, legacy: false,
    }])
  })

  test.each([
    ['a number as text', { primary: { temperature: 'NaN', utilization: '7' } }, { temperature: null, utilization: null }],
    ['a list for a number', { primary: { temperature: [24] } }, { temperature: null }],
    ['infinity', { primary: { temperature: Infinity } }, { temperature: null }],
  ])('in primary %s is absent', (_, changes, want) => {
    expect(readGpus(aBody(1, [aGPU(changes)])).gpus[0].primary).toMatchObject(want)
  })

  test.each([
    ['primary', null, {}],
    ['sensors', null, {}],
    ['sensors', [1, 2], {}],
    ['sensors', { edge: null, gpu: 5, soc: {}, hotspot: { celsius: 'x' }, memory: { celsius: 9, more: 1 } }, { memory: { celsius: 9 } }],
    ['sensors', { edge: { limits_celsius: { critical: 100, max: null } } }, { edge: { limits_celsius: { critical: 100 } } }],
    ['sensors', { edge: { celsius: 1, limits_celsius: 'x' } }, { edge: { celsius: 1 } }],
    ['sensors', { ['x'.repeat(257)]: { celsius: 1 } }, {}],
    ['memory', { vram: { used_bytes: 0, total_bytes: null } }, { vram: { used_bytes: 0 } }],
    ['fans', {}, []],
    ['fans', [null, 'x', { rpm: 5 }, { fan: 2, rpm: 0, duty_ratio: 'x' }], [{ fan: 2, rpm: 0 }]],
    ['throttle', 'power', null],
    ['throttle', null, null],
    ['throttle', ['power', null, 3, 'thermal'], ['power', 'thermal']],
    ['pcie', [16], {}],
    ['pcie', { width: 16, max_width: '16' }, { width: 16 }],
    ['margin_celsius', '5', null],
    ['index', -1, 0],
    ['index', 1.5, 0],
    ['name', { a: 1 }, null],
    ['name', '', null],
    ['name', 'x'.repeat(1000), 'x'.repeat(256)],
    ['state', null, 'ok'],
    ['state', 'melting', 'ok'],
    ['state', 'constructor', 'ok'],
    ['state', 'asleep', 'asleep'],
    ['simulated', 'yes', false],
  ])('%s: %j becomes %j', (key, value, want) => {
    const read = readGpus(aBody(1, [{ ...aGPU(), [key]: value }])).gpus[0][key]
    if (key === 'primary') expect(Object.values(read).every((one) => one === null)).toBe(true)
    else expect(read).toEqual(want)
  })

  test.each([[true, 'ok'], [false, 'gone'], [null, 'gone']])('a state that is not known, with up %s: %s', (up, want) => {
    expect(readGpus(aBody(1, [aGPU({ state: 'melting', up })])).gpus[0].state).toBe(want)
  })

  test('a section has at most 256 entries, a GPU at most 256 fans and reasons', () => {
    const many = Array.from({ length: 1000 }, (_, i) => i)
    const [gpu] = readGpus(aBody(1, [aGPU({
      sensors: Object.fromEntries(many.map((i) => [`s${i}`, { celsius: i }])),
      fans: many.map((fan) => ({ fan })),
      throttle: many.map(String),
    })])).gpus
    expect([Object.keys(gpu.sensors).length, gpu.fans.length, gpu.throttle.length]).toEqual([256, 256, 256])
  })

  test('a key named __proto__ is a key, and changes nothing else', () => {
    const body = JSON.parse(JSON.stringify(aBody(1)).replace('"edge"', '"__proto__"'))
    const { sensors } = readGpus(body).gpus[0]
    expect(Object.keys(sensors)).toEqual(['__proto__', 'vr_soc'])
    expect(Object.getPrototypeOf(sensors)).toBe(Object.prototype)
    expect({}.celsius).toBe(undefined)
  })
})

describe('readStats', () => {
  test('a reading of the old service is one GPU of the same shape', () => {
    expect(readStats(someStats(1000))).toEqual({
      version: null,
      timestamp: 1000,
      gpus: [{
        gpu: '', index: 0, name: 'AMD Radeon RX 7800 XT', vendor: 'amd', type: null, uuid: null, pci_id: null, driver: null,
        driver_version: null, vbios: null, source: 'rocm', simulated: false, state: 'ok', up: true, timestamp: 1000,
        age_seconds: null,
        primary: {
          temperature: 45, utilization: 7.000000000000001, memory_used: 1536, memory_total: 16384, memory_utilization: 9.4,
          core_clock: 2011, memory_clock: 456, power_usage: 32, fan_speed: 0, driver_version: null,
        },
        sensors: {}, margin_celsius: null, memory: {}, power: {}, clocks: {}, fans: [], throttle: null, pcie: {}, legacy: true,
      }],
    })
  })

  test('what the old service made up is told as simulated', () => {
    expect(readStats(someStats(1, { monitoring_method: 'simulation' })).gpus[0].simulated).toBe(true)
  })
  test('the first version has neither type nor method', () => {
    const { gpu_type, monitoring_method, ...first } = someStats(1)
    expect(readStats(first).gpus[0]).toMatchObject({ vendor: null, source: null, name: 'AMD Radeon RX 7800 XT' })
  })
  test('a driver that is known', () => {
    expect(readStats(someStats(1, { driver_version: '6.8' })).gpus[0]).toMatchObject({
      driver_version: '6.8', primary: { driver_version: '6.8' },
    })
  })

  test.each([
    null, undefined, [], 'x', 0, {}, { timestamp: 'now' }, { temperature: 40 }, { timestamp: Infinity },
  ])('%j is none', (data) => {
    expect(readStats(data)).toBe(null)
  })
})

describe('readFrame', () => {
  const frame = (type, data) => JSON.stringify({ type, data })

  test.each([
    ['gpus', frame('gpus', aBody(1)), 'gpus'],
    ['the old service', frame('gpu_stats', someStats(1)), 'stats'],
    ['as Python writes it', '{"type": "gpu_stats", "data": {"timestamp": 1.0, "name": "caf\\u00e9"}}', 'stats'],
  ])('%s', (_, text, kind) => {
    expect(readFrame(text)).toMatchObject({ kind, body: { timestamp: 1, gpus: [{}] } })
  })

  test.each([
    ['no text', new ArrayBuffer(8)],
    ['nothing', undefined],
    ['empty', ''],
    ['no JSON', '{"type":"gpus"'],
    ['NaN in it', '{"type":"gpu_stats","data":{"timestamp":NaN}}'],
    ['null', 'null'],
    ['a list', '[]'],
    ['a number', '7'],
    ['another type', frame('pong', {})],
    ['no type', frame(undefined, aBody(1))],
    ['a type that is an object', '{"type":{"toString":1},"data":{}}'],
    ['a type that every object has', frame('constructor', aBody(1))],
    ['no data', frame('gpus', undefined)],
    ['data of the other kind', frame('gpus', someStats(1))],
    ['too long', frame('gpus', aBody(1)).padEnd(MAX_TEXT + 1)],
    ['ten thousand brackets', '['.repeat(10000)],
  ])('%s is none', (_, text) => {
    expect(readFrame(text)).toBe(null)
  })

  test('as long as may be', () => {
    expect(readFrame(frame('gpus', aBody(1)).padEnd(MAX_TEXT))).toMatchObject({ kind: 'gpus' })
  })
})

describe('merge', () => {
  const read = (timestamp, ...gpus) => readGpus(aBody(timestamp, gpus))
  const merged = (...reads) => reads.reduce(merge, nothing)
  const seen = ({ timestamp, gpus }) => [timestamp, ...gpus.map(({ gpu, state, kept }) => [gpu, state, kept && kept.timestamp])]
  const a = (changes) => aGPU({ gpu: 'a', ...changes })
  const lost = (state, changes) => aGPUWithout(state, { gpu: 'a', ...changes })

  test.each([
    ['the first', [read(5, a())], [5, ['a', 'ok', null]]],
    ['a newer one', [read(5, a()), read(6, a({ state: 'partial' }))], [6, ['a', 'partial', null]]],
    ['one of the same time', [read(5, a()), read(5, a({ state: 'partial' }))], [5, ['a', 'partial', null]]],
    ['an older one changes nothing', [read(5, a()), read(4, a({ state: 'partial' }))], [5, ['a', 'ok', null]]],
    ['a GPU that is gone from the list is forgotten',
      [read(5, a(), aGPU({ gpu: 'b' })), read(6, aGPU({ gpu: 'b' }))], [6, ['b', 'ok', null]]],
    ['all of them', [read(5, a()), read(6)], [6]],
    ['one that fell asleep keeps its last reading', [read(5, a({ timestamp: 5 })), read(6, lost('asleep'))], [6, ['a', 'asleep', 5]]],
    ['and goes on keeping it', [read(5, a({ timestamp: 5 })), read(6, lost('asleep')), read(7, lost('hung')), read(8, lost('gone'))],
      [8, ['a', 'gone', 5]]],
    ['until it has one again', [read(5, a()), read(6, lost('asleep')), read(7, a())], [7, ['a', 'ok', null]]],
    ['never read, nothing kept', [read(5, lost('hung', { timestamp: null })), read(6, lost('hung'))], [6, ['a', 'hung', null]]],
    ['nothing of another GPU', [read(5, aGPU({ gpu: 'b' })), read(6, lost('gone'))], [6, ['a', 'gone', null]]],
    ['a GPU named __proto__', [read(5, a({ gpu: '__proto__', timestamp: 5 })), read(6, lost('asleep', { gpu: '__proto__' }))],
      [6, ['__proto__', 'asleep', 5]]],
  ])('%s', (_, reads, want) => {
    expect(seen(merged(...reads))).toEqual(want)
  })

  test('an older body gives the very same object', () => {
    const first = merged(read(5, a()))
    expect(merge(first, read(4.9, a()))).toBe(first)
  })
  test('what is kept does not grow: a kept GPU keeps none itself', () => {
    const sleeps = merged(read(1, a()), read(2, lost('asleep')), read(3, a()), read(4, lost('asleep')))
    expect(sleeps.gpus[0].kept.kept).toBe(null)
  })
  test('neither of its arguments is changed', () => {
    const before = merged(read(5, a()))
    const after = read(6, lost('asleep'))
    const texts = [before, after].map((one) => JSON.stringify(one))
    merge(before, after)
    expect([before, after].map((one) => JSON.stringify(one))).toEqual(texts)
  })
})

describe('hasReadings', () => {
  test.each([
    ['a GPU', {}, true],
    ['asleep', aGPUWithout('asleep'), false],
    ['asleep, with the version of its driver', { ...aGPUWithout('asleep'), primary: { driver_version: '6.8' } }, false],
    ['a sensor alone', { ...aGPUWithout('partial'), sensors: { vr_soc: { celsius: 30 } } }, true],
    ['a 0', { ...aGPUWithout('ok'), primary: { utilization: 0 } }, true],
  ])('%s', (_, changes, want) => {
    expect(hasReadings(readGpus(aBody(1, [{ ...aGPU(), ...changes }])).gpus[0])).toBe(want)
  })
})

describe('times', () => {
  const snapshot = { timestamp: 1000, received: 50_000 } // the browser's clock is far behind
  const gpu = { timestamp: 998, legacy: false }

  test.each([
    ['at the body', 50_000, 1000, 2],
    ['3 s later', 53_000, 1003, 5],
    ['the browser\'s clock was set back', 10_000, 1000, 2],
  ])('%s', (_, now, service, age) => {
    expect(serviceNow(snapshot, now)).toBe(service)
    expect(readingAge(gpu, snapshot, now)).toBe(age)
  })
  test('a reading of the future is of now', () => {
    expect(readingAge({ timestamp: 1005, legacy: false }, snapshot, 50_000)).toBe(0)
  })
  test('of the old service the two clocks are compared', () => {
    expect(readingAge({ timestamp: 40, legacy: true }, snapshot, 50_000)).toBe(10)
    expect(readingAge({ timestamp: 60, legacy: true }, snapshot, 50_000)).toBe(0)
  })
  test('before the first body, and for a GPU that was never read, there is none', () => {
    expect(serviceNow({ timestamp: null, received: null }, 1)).toBe(null)
    expect(readingAge({ timestamp: null }, snapshot, 1)).toBe(null)
    expect(readingAge(gpu, { timestamp: null, received: null }, 1)).toBe(null)
  })
})

// Whatever a service sends: nothing throws, and everything is of the shape that the panel relies on.
describe('hostile frames', () => {
  const strange = [
    null, true, false, 0, -1, 1e308, -0, 1.5, '', 'NaN', '1', '__proto__', 'x'.repeat(300), [], {}, [[]], [null], { a: null },
    { toString: 1, valueOf: 2 }, { length: 1e9 }, { __proto__: null }, { celsius: {} },
  ]

  function mutate(value, random) {
    const dice = random()
    if (dice < 0.08) return strange[Math.floor(random() * strange.length)]
    if (Array.isArray(value)) return value.flatMap((one) => Array(random() < 0.1 ? 2 : 1).fill(mutate(one, random)))
    if (typeof value !== 'object' || value === null) return value
    const entries = Object.entries(value).filter(() => random() > 0.04)
    return Object.fromEntries(entries.map(([key, one]) => {
      const odd = ['__proto__', 'constructor', 'toString', '']
      return [random() < 0.04 ? odd[Math.floor(random() * odd.length)] : key, mutate(one, random)]
    }))
  }

  const isNumber = (value) => Number.isFinite(value)
  const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)

  /** Whether the panel can rely on a GPU. */
  function isSound(gpu) {
    const { driver_version, ...primary } = gpu.primary
    const entries = [gpu.sensors, gpu.memory, gpu.power, gpu.clocks].flatMap(Object.values)
    return typeof gpu.gpu === 'string' && ['ok', 'partial', 'asleep', 'hung', 'gone'].includes(gpu.state) && Number.isInteger(gpu.index) &&
      Object.values(primary).every((value) => value === null || isNumber(value)) &&
      entries.every((entry) => isObject(entry) && Object.values(entry).length > 0) &&
      entries.flatMap(Object.values).every((value) => isNumber(value) || Object.values(value).every(isNumber)) &&
      gpu.fans.every((fan) => isNumber(fan.fan) && Object.values(fan).every(isNumber)) &&
      (gpu.throttle === null || gpu.throttle.every((reason) => typeof reason === 'string')) &&
      Object.values(gpu.pcie).every(isNumber) &&
      (gpu.kept === null || gpu.kept === undefined || (gpu.kept.kept === null && isSound(gpu.kept)))
  }

  test.each([1, 2, 3, 4])('2500 frames of seed %d', (seed) => {
    const random = seeded(seed)
    let shown = nothing
    let history = newHistory()
    let counted = 0
    for (let i = 0; i < 2500; i++) {
      const old = random() < 0.3
      const data = old ? someStats(i) : aBody(i, [aGPU({ timestamp: i }), aGPU({ gpu: 'b' }), aGPUWithout('asleep', { gpu: 'c' })])
      let text = JSON.stringify(mutate({ type: old ? 'gpu_stats' : 'gpus', data }, random))
      if (random() < 0.1) text = text.slice(0, Math.floor(random() * text.length))
      const frame = readFrame(text)
      if (frame === null) continue
      counted++
      shown = merge(shown, frame.body)
      history = shown.gpus.map(entryOf).filter((entry) => entry !== null).reduce(push, history)
      history = preload(history, mutate([{ timestamp: i - 5, utilization: 1 }], random))
      const points = segments(history, 'temperature', i).flat()
      const isDrawable = history.length <= 60 && points.every(({ x, value }) => x >= 0 && x <= 1 && isNumber(value))
      if (!isDrawable || !shown.gpus.every(isSound)) expect.fail(`frame ${i} of seed ${seed}: ${text}`)
    }
    expect(counted).toBeGreaterThan(500) // else it tests nothing
  })
})
