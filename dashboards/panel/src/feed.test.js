import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { aBody, aGPU, aGPUWithout, aWorld, someStats } from './fakes.js'
import { feedOf, newFeed, resolveBase } from './feed.js'
import { MAX_TEXT } from './frames.js'

const BASE = 'http://host:5009'
const forbidden = new TypeError('Failed to fetch')
const blank = { sockets: 0, handlers: 0, fetches: 0, listeners: 0 }

beforeEach(() => vi.useFakeTimers({ now: 1_800_000_000_000 }))
afterEach(() => vi.useRealTimers())

/** A feed of a world with one subscriber, at once connecting. */
function aFeed(options) {
  const world = aWorld(options)
  const feed = newFeed(BASE, world.outside)
  const listener = vi.fn()
  const unsubscribe = feed.subscribe(listener)
  return { world, feed, listener, unsubscribe, shown: feed.getSnapshot, state: () => stateOf(feed) }
}

const stateOf = (feed) => {
  const { connection, error } = feed.getSnapshot()
  return error ? `${connection}, ${error}` : connection
}
const pass = (milliseconds) => vi.advanceTimersByTimeAsync(milliseconds)
const settle = () => pass(0)

describe('resolveBase', () => {
  const page = (href) => new URL(href)
  test.each([
    // what is given, the page, the base
    ['http://box:5009', 'http://host:3000/', 'http://box:5009'],
    ['http://box:5009/', 'http://host:3000/', 'http://box:5009'],
    ['https://box/gpu///', 'http://host:3000/', 'https://box/gpu'],
    ['https://box/gpu?x=1#y', 'http://host:3000/', 'https://box/gpu'],
    ['ws://box:5009', 'http://host:3000/', 'http://box:5009'],
    ['wss://box/gpu', 'http://host:3000/', 'https://box/gpu'],
    ['http://[fe80::1]:5009', 'http://host:3000/', 'http://[fe80::1]:5009'],
    ['.', 'http://host:5009/', 'http://host:5009'],
    ['.', 'https://proxy/below/gpu/', 'https://proxy/below/gpu'],
    ['/gpu', 'https://proxy/page', 'https://proxy/gpu'],
    ['//box:5009', 'https://proxy/page', 'https://box:5009'],
    [undefined, 'http://host:3000/dashboard', 'http://host:5009'],
    ['', 'https://host/dashboard', 'https://host:5009'],
    [undefined, 'http://[::1]:3000/', 'http://[::1]:5009'],
    [undefined, 'file:///home/me/index.html', 'http://localhost:5009'],
    ['http://box:5009', 'file:///home/me/index.html', 'http://box:5009'],
    // no address of a service
    ['box:5009', 'http://host:3000/', null],
    ['http://', 'http://host:3000/', null],
    ['http://a b', 'http://host:3000/', null],
    ['http://box:99999', 'http://host:3000/', null],
    ['ftp://box', 'http://host:3000/', null],
    ['javascript:alert(1)', 'http://host:3000/', null],
    ['http://me:secret@box', 'http://host:3000/', null],
    ['.', 'file:///home/me/index.html', null],
    [42, 'file:///home/me/index.html', null],
    [{}, 'file:///home/me/index.html', null],
  ])('%s on %s is %s', (given, href, want) => {
    expect(resolveBase(given, page(href))).toBe(want)
  })

  test('without a page, as on a server that renders', () => {
    expect(resolveBase(undefined, undefined)).toBe('http://localhost:5009')
  })

  describe('set when the application was built', () => {
    afterEach(() => vi.unstubAllEnvs())
    test.each([[undefined, 'http://built:5009'], ['http://given:1', 'http://given:1']])('given %s: %s', (given, want) => {
      vi.stubEnv('REACT_APP_GPU_STATS_URL', 'http://built:5009')
      expect(resolveBase(given, page('http://host:3000/'))).toBe(want)
    })
    test('a browser has no `process`', () => {
      vi.stubGlobal('process', undefined)
      expect(resolveBase(undefined, page('http://host:3000/'))).toBe('http://host:5009')
      vi.unstubAllGlobals()
    })
  })
})

describe('feedOf', () => {
  const registry = Symbol.for('gpu_exporter.panel.feeds.1')
  afterEach(() => delete globalThis[registry])

  test('the same service has the same feed, however it is written', () => {
    const { outside } = aWorld()
    const feed = feedOf(undefined, outside)
    expect(feedOf('http://host:5009/', outside)).toBe(feed)
    expect(feedOf('ws://host:5009', outside)).toBe(feed)
    expect(feedOf('http://other:5009', outside)).not.toBe(feed)
  })

  test('many panels, one socket and one fetch', async () => {
    const { outside, ...world } = aWorld()
    const leave = Array.from({ length: 20 }, () => feedOf(undefined, outside).subscribe(() => {}))
    await settle()
    expect([world.sockets.length, world.fetches.length]).toEqual([1, 1])
    leave.forEach((one) => one())
    await settle()
    expect(world.count()).toEqual(blank)
  })

  test('feeds that nobody uses any more are forgotten but for the last eight; one in use is not', () => {
    const { outside } = aWorld()
    const used = feedOf('http://used', outside)
    used.subscribe(() => {})
    for (let i = 0; i < 100; i++) feedOf(`http://box${i}`, outside)
    expect(globalThis[registry].size).toBe(9)
    expect(feedOf('http://used', outside)).toBe(used)
  })

  test('an address that is none is an error to be shown; nothing is tried', async () => {
    const { outside, ...world } = aWorld()
    const feed = feedOf('http://', outside)
    const leave = feed.subscribe(() => {})
    await pass(60_000)
    expect([feed.base, stateOf(feed), world.sockets.length, world.fetches.length]).toEqual([null, 'waiting, address', 0, 0])
    leave()
    await settle()
    expect([world.count(), vi.getTimerCount()]).toEqual([blank, 0])
    feed.subscribe(() => {})
    expect(stateOf(feed)).toBe('waiting, address') // it does not wait for what never comes
  })
})

describe('a service that answers', () => {
  test('nothing is done before the first subscriber', () => {
    const world = aWorld()
    const feed = newFeed(BASE, world.outside)
    expect([stateOf(feed), world.sockets.length, world.fetches.length, vi.getTimerCount()]).toEqual(['connecting', 0, 0, 0])
    expect(feed.getSnapshot()).toMatchObject({ gpus: [], legacy: false, version: null, received: null, frames: 0 })
  })

  test('a socket to /ws/gpus and a fetch of /gpus at the same time', () => {
    const { world } = aFeed()
    expect(world.sockets.map(({ url }) => url)).toEqual(['ws://host:5009/ws/gpus'])
    expect(world.fetches.map(({ url }) => url)).toEqual(['http://host:5009/gpus'])
  })

  test('https is wss, and a path is kept', () => {
    const world = aWorld()
    newFeed('https://proxy/below', world.outside).subscribe(() => {})
    expect([world.socket().url, world.asked('/below').url]).toEqual(['wss://proxy/below/ws/gpus', 'https://proxy/below/gpus'])
  })

  test('connecting, open, readings', () => {
    const { world, shown, state } = aFeed()
    expect(state()).toBe('connecting')
    world.socket().open()
    expect(state()).toBe('open')
    world.socket().gpus(1000)
    expect(shown()).toMatchObject({
      connection: 'open', error: null, legacy: false, version: '1.0.0', timestamp: 1000, received: 1_800_000_000_000, frames: 1,
      gpus: [{ gpu: '0000:03:00.0', primary: { temperature: 24 }, kept: null }],
    })
    expect(shown().histories.get('0000:03:00.0')).toEqual([{ time: 1000, utilization: 2, temperature: 24, memory_utilization: 9.4 }])
  })

  test('a snapshot is new only when something changed, and listeners are called as often', () => {
    const { world, shown, listener } = aFeed()
    world.socket().open()
    const [before, calls] = [shown(), listener.mock.calls.length]
    world.socket().send('not JSON')
    world.socket().send({ type: 'other' })
    expect(shown()).toBe(before)
    world.socket().gpus(1000)
    expect(shown()).not.toBe(before)
    expect(before.gpus).toEqual([])
    expect(listener.mock.calls.length).toBe(calls + 1)
    expect(Object.isFrozen(shown())).toBe(true)
  })

  test('the chart has the readings of a minute, each once', async () => {
    const { world, shown } = aFeed()
    world.socket().open()
    for (let i = 0; i < 100; i++) {
      world.socket().gpus(1000 + i)
      world.socket().gpus(1000 + i)
      await pass(1000)
    }
    const history = shown().histories.get('0000:03:00.0')
    expect([history.length, history[0].time, history.at(-1).time]).toEqual([60, 1040, 1099])
  })

  test('a sleeping GPU keeps its last reading; one that is forgotten goes with its history', () => {
    const { world, shown } = aFeed()
    world.socket().open()
    world.socket().gpus(1000, [aGPU({ gpu: 'a', timestamp: 1000 }), aGPU({ gpu: 'b', timestamp: 1000 })])
    world.socket().gpus(1001, [aGPUWithout('asleep', { gpu: 'a', timestamp: 1001 })])
    expect(shown().gpus).toMatchObject([{ gpu: 'a', state: 'asleep', kept: { timestamp: 1000 } }])
    expect([...shown().histories.keys()]).toEqual(['a'])
  })

  test('the fetch fills the time until the first frame', async () => {
    const { shown, state } = aFeed({ routes: { '/gpus': aBody(1000) } })
    await settle()
    expect([state(), shown().timestamp, shown().frames]).toEqual(['open', 1000, 0])
  })

  test('a late fetch does not overwrite a newer frame', async () => {
    const { world, shown } = aFeed()
    world.socket().open()
    world.socket().gpus(1005)
    world.asked('/gpus').answer({ body: aBody(1000) })
    await settle()
    expect([shown().timestamp, shown().frames]).toEqual([1005, 1])
  })

  test('a fetch that fails is no error while frames come', async () => {
    const { world, state } = aFeed()
    world.socket().open()
    world.socket().gpus(1000)
    world.asked('/gpus').fail()
    await settle()
    expect(state()).toBe('open')
  })

  test('frames alone are enough, and no more is fetched', async () => {
    const { world, state } = aFeed({ routes: { '/gpus': forbidden } })
    world.socket().open()
    for (let i = 0; i < 120; i++) {
      world.socket().gpus(1000 + i)
      await pass(1000)
    }
    expect([state(), world.sockets.length, world.fetches.length]).toEqual(['open', 1, 1])
  })

  test('after the fetch was answered frames come: no more is fetched', async () => {
    const { world } = aFeed({ routes: { '/gpus': aBody(1000) } })
    await settle()
    world.socket().open()
    for (let i = 1; i < 30; i++) {
      world.socket().gpus(1000 + i)
      await pass(1000)
    }
    expect(world.fetches.length).toBe(1)
  })

  test('the service\'s clock is set back: frames of the next connection count', async () => {
    const { world, shown } = aFeed()
    world.socket().open()
    world.socket().gpus(9000)
    world.socket().gpus(5000)
    expect([shown().timestamp, shown().frames]).toEqual([9000, 1])
    await pass(5000 + 3000)
    world.socket().open()
    world.socket().gpus(5008)
    expect([shown().timestamp, shown().frames]).toEqual([5008, 2])
    expect(shown().histories.get('0000:03:00.0').map(({ time }) => time)).toEqual([5008])
  })
})

describe('no GPU', () => {
  const labels = ({ gpus }) => gpus.map(({ gpu }) => gpu)

  test('on the first visit it waits, and believes it after 5 s', async () => {
    const { world, shown, state } = aFeed()
    world.socket().open()
    for (let i = 0; i < 5; i++) {
      world.socket().gpus(1000 + i, [])
      expect([state(), shown().received, shown().frames]).toEqual(['open', null, i + 1])
      await pass(1000)
    }
    world.socket().gpus(1005, [])
    expect([shown().received, shown().gpus]).toEqual([Date.now(), []])
  })

  test('after a restart what there was stays until the first cycle has ended', async () => {
    const { world, shown } = aFeed()
    world.socket().open()
    world.socket().gpus(1000)
    world.socket().drop()
    await pass(3000)
    world.socket().open()
    world.socket().gpus(1003, [])
    expect([labels(shown()), shown().timestamp]).toEqual([['0000:03:00.0'], 1000])
    await pass(1000)
    world.socket().gpus(1004)
    expect(shown().histories.get('0000:03:00.0').map(({ time }) => time)).toEqual([1000, 1004])
  })

  test('each outage counts anew', async () => {
    const { world, shown } = aFeed({ routes: { '/gpus': forbidden } })
    world.socket().open()
    world.socket().gpus(1000)
    for (let i = 1; i < 4; i++) {
      world.socket().gpus(1000 + 4 * i, [])
      world.socket().drop()
      await pass(4000)
      world.socket().open()
    }
    world.socket().gpus(1020, [])
    expect(labels(shown())).toEqual(['0000:03:00.0'])
  })

  test('they were taken away: believed after 5 s', async () => {
    const { world, shown } = aFeed()
    world.socket().open()
    world.socket().gpus(1000)
    world.socket().gpus(1001, [])
    expect(labels(shown())).toEqual(['0000:03:00.0'])
    await pass(4000)
    world.socket().gpus(1005, [])
    await pass(1000)
    world.socket().gpus(1006, [])
    expect([labels(shown()), shown().histories.size]).toEqual([[], 0])
  })

  test('by fetches alone, over the tries of the socket', async () => {
    const { shown } = aFeed({ constructorThrows: true, routes: { '/gpus': aBody(1000, []) } })
    await pass(4000)
    expect(shown()).toMatchObject({ connection: 'open', received: null })
    await pass(5000)
    expect(shown()).toMatchObject({ connection: 'open', error: null, gpus: [] })
    expect(shown().received).not.toBe(null)
  })
})

describe('a connection that ends', () => {
  test('closed after frames: the values stay, no error, a new try after 3 s', async () => {
    const { world, shown, state } = aFeed()
    world.socket().open()
    world.socket().gpus(1000)
    world.socket().drop()
    expect([state(), shown().timestamp]).toEqual(['waiting', 1000])
    await pass(2999)
    expect(world.sockets.length).toBe(1)
    await pass(1)
    expect([state(), world.paths()]).toEqual(['connecting', ['/ws/gpus', '/ws/gpus']])
    world.socket().open()
    world.socket().gpus(1004)
    expect([state(), shown().timestamp]).toEqual(['open', 1004])
    expect(shown().histories.get('0000:03:00.0').map(({ time }) => time)).toEqual([1000, 1004])
  })

  test('nobody there: an error, until it opens', async () => {
    const { world, shown, state } = aFeed({ routes: { '/gpus': forbidden } })
    await settle()
    expect(state()).toBe('connecting')
    world.socket().drop()
    expect(state()).toBe('waiting, unreachable')
    await pass(3000)
    expect(state()).toBe('connecting, unreachable')
    world.socket().open()
    expect(state()).toBe('open')
    world.socket().gpus(1000)
    expect(shown().error).toBe(null)
  })

  test('silent for 5 s: said, closed, tried again', async () => {
    const { world, shown, state } = aFeed({ routes: { '/gpus': forbidden } })
    world.socket().open()
    world.socket().gpus(1000)
    await pass(4999)
    expect(state()).toBe('open')
    await pass(1)
    expect([state(), shown().timestamp, world.count().sockets]).toEqual(['waiting, silent', 1000, 0])
    await pass(3000)
    world.socket().open()
    expect(state()).toBe('open, silent') // open it was before, too
    world.socket().gpus(1010)
    expect(state()).toBe('open')
  })

  test.each([
    ['closed', 'waiting', async (world) => world.socket().drop()],
    ['silent', 'waiting, silent', async () => pass(5000)],
  ])('%s after a fetch and frames: the fetch of before is no sign of life', async (_, want, happens) => {
    const { world, state } = aFeed({ routes: { '/gpus': aBody(1000) } })
    await settle()
    world.socket().open()
    world.socket().gpus(1001)
    await happens(world)
    expect(state()).toBe(want)
  })

  test('it opens, and is closed without a frame: another error than that nobody is there, until a frame', async () => {
    const { world, state } = aFeed({ routes: { '/gpus': forbidden } })
    await settle()
    world.socket().open()
    world.socket().drop()
    expect(state()).toBe('waiting, service')
    await pass(3000)
    world.socket().open()
    expect(state()).toBe('open, service')
    world.socket().gpus(1000)
    expect(state()).toBe('open')
  })

  test('refused, and the fetch fails after that: an error at once', async () => {
    const { world, state } = aFeed()
    world.socket().drop()
    expect(state()).toBe('waiting') // the fetch may still be answered
    world.asked('/gpus').fail()
    await settle()
    expect(state()).toBe('waiting, unreachable')
  })

  test('refused, and the fetch hangs: an error with the next try', async () => {
    const { world, state } = aFeed()
    world.socket().drop()
    await pass(3000)
    expect(state()).toBe('connecting, unreachable')
  })

  test('silent from the start, and the fetch hangs: said after 5 s', async () => {
    const { world, state } = aFeed()
    world.socket().open()
    await pass(5000)
    expect(state()).toBe('waiting, silent')
  })

  test('silent from the start', async () => {
    const { world, state } = aFeed({ routes: { '/gpus': forbidden } })
    world.socket().open()
    await pass(5000)
    expect([state(), world.count().sockets]).toEqual(['waiting, silent', 0])
  })

  test('frames that nobody can read are silence', async () => {
    const { world, state } = aFeed({ routes: { '/gpus': forbidden } })
    world.socket().open()
    for (let i = 0; i < 5; i++) {
      world.socket().send({ type: 'gpus', data: { schema: 2 } })
      await pass(1000)
    }
    expect(state()).toBe('waiting, silent')
  })

  test('a frame each 3 s is no silence, with an equal time neither', async () => {
    const { world, state } = aFeed({ routes: { '/gpus': forbidden } })
    world.socket().open()
    for (let i = 0; i < 20; i++) {
      world.socket().gpus(1000)
      await pass(3000)
    }
    expect([state(), world.sockets.length]).toEqual(['open', 1])
  })

  test('a handshake that leads nowhere is given up after 10 s', async () => {
    const { world, state } = aFeed({ routes: { '/gpus': forbidden } })
    await pass(9999)
    expect([state(), world.count().sockets]).toEqual(['connecting', 1])
    await pass(1)
    expect([state(), world.count().sockets]).toEqual(['waiting, unreachable', 0])
  })

  test('a service that does not answer requests is given up after 10 s', async () => {
    const { world } = aFeed()
    world.socket().open()
    for (let i = 0; i < 10; i++) {
      world.socket().gpus(1000 + i)
      await pass(1000)
    }
    expect(world.count().fetches).toBe(0)
  })

  test('a socket that was given up is closed and not heard any more', async () => {
    const { world, shown } = aFeed()
    const [socket] = world.sockets
    socket.open()
    await pass(5000)
    const before = shown()
    socket.gpus(5000)
    socket.drop()
    expect([shown(), world.sockets.length, world.count().handlers]).toEqual([before, 1, 0])
  })

  describe('the time between tries', () => {
    /** Seconds between the tries at a service that is not there, old service and new. */
    async function waits(random, tries) {
      const { world } = aFeed({ routes: { '/gpus': forbidden, '/gpu/stats': forbidden } })
      world.outside.random = () => random
      const times = []
      while (times.length < tries) {
        await settle()
        world.socket().drop()
        await settle()
        if (world.count().sockets > 0) world.socket().drop() // the old path, tried at once
        const start = Date.now()
        const before = world.sockets.length
        while (world.sockets.length === before) await vi.advanceTimersToNextTimerAsync()
        times.push((Date.now() - start) / 1000)
      }
      return times
    }

    test.each([
      ['least', 0, [3, 3, 6, 12, 15, 15, 15]],
      ['most', 1, [3, 6, 12, 24, 30, 30, 30]],
      ['in between', 0.5, [3, 4.5, 9, 18, 22.5, 22.5, 22.5]],
    ])('3 s, then growing to 30 s, by chance: %s', async (_, random, want) => {
      expect(await waits(random, want.length)).toEqual(want)
    })

    test('3 s again after a frame', async () => {
      const { world } = aFeed({ routes: { '/gpus': forbidden, '/gpu/stats': forbidden } })
      for (let i = 0; i < 5; i++) {
        await settle()
        world.socket().drop()
        await pass(30_000)
      }
      world.hide(false)
      world.socket().open()
      world.socket().send(world.socket().path === '/ws/gpus'
        ? { type: 'gpus', data: aBody(1000) } : { type: 'gpu_stats', data: someStats(1000) })
      world.socket().drop()
      const before = world.sockets.length
      await pass(2999)
      expect(world.sockets.length).toBe(before)
      await pass(1)
      expect(world.sockets.length).toBe(before + 1)
    })

    test('to open is not enough: one that opens and closes is not asked every 3 s', async () => {
      const { world } = aFeed({ routes: { '/gpus': forbidden, '/gpu/stats': forbidden } })
      for (let i = 0; i < 600; i++) {
        if (world.count().sockets > 0) {
          world.socket().open()
          world.socket().drop()
        }
        await pass(1000)
      }
      expect(world.sockets.length).toBeLessThan(60)
    })

    test.each([
      ['the browser comes online', (world) => world.window.say('online')],
      ['the page becomes visible', (world) => world.hide(false)],
    ])('at once when %s', async (_, happens) => {
      const { world, state } = aFeed({ routes: { '/gpus': forbidden } })
      world.socket().drop()
      await settle()
      expect(world.sockets.length).toBe(1)
      happens(world)
      expect(world.sockets.length).toBe(2)
      expect(state()).toBe('connecting, unreachable')
      happens(world) // one try at a time
      expect(world.sockets.length).toBe(2)
    })
  })
})

describe('without sockets', () => {
  test.each([
    ['forbidden: the constructor throws', { constructorThrows: true }],
    ['not there', {}],
  ])('%s: a fetch each 3 s', async (name, options) => {
    let time = 1000
    const world = aWorld({ ...options, routes: { '/gpus': () => aBody(time++) } })
    if (name === 'not there') world.outside.WebSocket = undefined
    const feed = newFeed(BASE, world.outside)
    const states = new Set()
    feed.subscribe(() => states.add(stateOf(feed)))
    await pass(60_000)
    expect(feed.getSnapshot()).toMatchObject({ connection: 'open', error: null, legacy: false, frames: 0 })
    expect(time - 1000).toBeGreaterThanOrEqual(20)
    expect(time - 1000).toBeLessThanOrEqual(30)
    expect(states).toEqual(new Set(['waiting', 'open'])) // it does not flicker
    expect(new Set(world.fetches.map(({ path }) => path))).toEqual(new Set(['/gpus']))
  })

  test('refused each time, with a fetch that answers: a new service, asked for sockets more and more seldom', async () => {
    let time = 1000
    const { world, state } = aFeed({ routes: { '/gpus': () => aBody(time++) } })
    for (let i = 0; i < 300; i++) {
      if (world.count().sockets > 0) world.socket().drop()
      await pass(1000)
    }
    expect(state()).toBe('open')
    expect(new Set(world.paths())).toEqual(new Set(['/ws/gpus']))
    expect(world.sockets.length).toBeLessThan(20)
  })

  test('the constructor throws and nobody answers: tried for ever, more and more seldom', async () => {
    const { world, state } = aFeed({ constructorThrows: true, routes: { '/gpus': forbidden, '/gpu/stats': forbidden } })
    await pass(600_000)
    expect(state()).toMatch(/^waiting, unreachable$/)
    expect(world.attempts).toBeGreaterThan(20)
    expect(world.attempts).toBeLessThan(60)
  })

  test('the fetches stop answering: an error, and no more than the tries', async () => {
    const { world, state } = aFeed({ constructorThrows: true, routes: { '/gpus': aBody(1000) } })
    await pass(10_000)
    expect(state()).toBe('open')
    world.routes['/gpus'] = forbidden
    await pass(60_000)
    expect(state()).toBe('waiting, unreachable')
    const before = world.fetches.length
    await pass(300_000)
    expect(world.fetches.length - before).toBeLessThan(30)
  })
})

describe('an old service', () => {
  const old = (time) => ({ '/gpus': 404, '/gpu/stats': () => someStats(time()) })

  test('404 on /gpus: /ws/gpu-stats and /gpu/stats at once', async () => {
    const { world, shown, state } = aFeed({ routes: old(() => 1000) })
    await settle()
    expect(world.paths()).toEqual(['/ws/gpus', '/ws/gpu-stats'])
    expect(world.fetches.map(({ path }) => path)).toEqual(['/gpus', '/gpu/stats'])
    expect(world.count().sockets).toBe(1)
    expect(shown()).toMatchObject({ legacy: true, version: null, gpus: [{ gpu: '', legacy: true, primary: { temperature: 45 } }] })
    world.socket().open()
    world.socket().stats(1001, { temperature: 46 })
    expect([state(), shown().frames, shown().gpus[0].primary.temperature]).toEqual(['open', 1, 46])
    expect(shown().histories.get('')).toHaveLength(2)
  })

  test('the socket was refused before the 404 came: it is not waited', async () => {
    const { world } = aFeed({ routes: { '/gpu/stats': someStats(1000) } })
    world.socket().drop()
    world.asked('/gpus').answer({ status: 404 })
    await settle()
    expect(world.paths()).toEqual(['/ws/gpus', '/ws/gpu-stats'])
  })

  test('404 on /gpus, but frames on /ws/gpus: not an old one', async () => {
    const { world, shown } = aFeed()
    world.socket().open()
    world.socket().gpus(1000)
    world.asked('/gpus').answer({ status: 404 })
    await settle()
    expect([world.paths(), shown().legacy]).toEqual([['/ws/gpus'], false])
  })

  test.each([401, 403, 500, 502, 503])('%d is not 404: nothing is known of the service', async (status) => {
    const { world } = aFeed({ routes: { '/gpus': status } })
    await settle()
    expect(world.paths()).toEqual(['/ws/gpus'])
  })

  test('the fetch is forbidden: /ws/gpu-stats after /ws/gpus was closed twice without a frame', async () => {
    const { world, shown, state } = aFeed({ routes: { '/gpus': forbidden, '/gpu/stats': forbidden } })
    await settle()
    world.socket().drop()
    await pass(3000)
    world.socket().drop()
    expect(world.paths()).toEqual(['/ws/gpus', '/ws/gpus', '/ws/gpu-stats'])
    world.socket().open()
    world.socket().stats(1000)
    expect([state(), shown().legacy]).toEqual(['open', true])
  })

  test('frames of /ws/gpus came before: a service that is away, however long, is not taken for an old one', async () => {
    const { world, shown, state } = aFeed({ routes: { '/gpus': forbidden, '/gpu/stats': forbidden } })
    world.socket().open()
    world.socket().gpus(1000)
    for (let i = 0; i < 10; i++) {
      world.socket().drop()
      await pass(30_000)
    }
    expect(new Set(world.paths())).toEqual(new Set(['/ws/gpus']))
    world.socket().open()
    world.socket().gpus(1300)
    expect([state(), shown().legacy]).toEqual(['open', false])
  })

  test('frames of /ws/gpus came before, then sockets open and are closed without one: an old one after all', async () => {
    const { world } = aFeed({ routes: { '/gpus': forbidden, '/gpu/stats': forbidden } })
    world.socket().open()
    world.socket().gpus(1000)
    world.socket().drop()
    for (let i = 0; i < 2; i++) {
      await pass(6000)
      world.socket().open()
      world.socket().drop()
    }
    expect(world.socket().path).toBe('/ws/gpu-stats')
  })

  test('a frame between: not twice', async () => {
    const { world } = aFeed({ routes: { '/gpus': forbidden } })
    await settle()
    world.socket().drop()
    await pass(3000)
    world.socket().open()
    world.socket().gpus(1000)
    world.socket().drop()
    await pass(3000)
    world.socket().drop()
    expect(new Set(world.paths())).toEqual(new Set(['/ws/gpus']))
  })

  test('a reconnect begins with /ws/gpus again; where the service was old, one refusal is enough', async () => {
    const { world, shown } = aFeed({ routes: { '/gpus': forbidden, '/gpu/stats': forbidden } })
    await settle()
    world.socket().drop()
    await pass(3000)
    world.socket().drop()
    world.socket().open()
    world.socket().stats(1000)
    world.socket().drop()
    await pass(3000)
    expect(world.socket().path).toBe('/ws/gpus')
    world.socket().drop()
    expect(world.socket().path).toBe('/ws/gpu-stats')
    world.socket().open()
    world.socket().stats(1010)
    expect(shown().histories.get('')).toHaveLength(2)
  })

  test('it was replaced by a new one: seen at the next reconnect', async () => {
    const { world, shown } = aFeed({ routes: old(() => 1000) })
    await settle()
    world.socket().open()
    world.socket().stats(1001)
    world.routes['/gpus'] = aBody(1005)
    world.socket().drop()
    await pass(3000)
    world.socket().open()
    world.socket().gpus(1006)
    expect(shown()).toMatchObject({ legacy: false, version: '1.0.0', gpus: [{ gpu: '0000:03:00.0' }] })
    expect([...shown().histories.keys()]).toEqual(['0000:03:00.0'])
  })

  test('a new one taken for an old one while it started: set right by the fetch', async () => {
    const { world, shown } = aFeed({ routes: { '/gpus': forbidden, '/gpu/stats': forbidden } })
    await settle()
    world.socket().drop()
    await pass(3000)
    world.routes['/gpus'] = aBody(1000)
    world.socket().drop() // and it is there
    await settle()
    expect([world.socket().path, world.count().sockets]).toEqual(['/ws/gpus', 1])
    world.socket().open()
    world.socket().gpus(1001)
    expect(shown()).toMatchObject({ legacy: false, error: null })
  })

  test('its socket is silent for ever, as it really was: it lives on the fetch, without a word of error', async () => {
    let time = 1000
    const { world, feed, shown } = aFeed({ routes: old(() => time++) })
    const states = new Set()
    await settle()
    feed.subscribe(() => states.add(stateOf(feed)))
    for (let i = 0; i < 60; i++) {
      if (world.socket().readyState === 0 && world.socket().path === '/ws/gpu-stats') world.socket().open()
      await pass(1000)
    }
    expect(states).toEqual(new Set(['open']))
    expect(shown().legacy).toBe(true)
    expect(shown().histories.get('').length).toBeGreaterThanOrEqual(15)
    expect(world.count().sockets).toBeLessThanOrEqual(1)
  })

  test('frames of the other kind do not count', async () => {
    const { world, shown } = aFeed()
    world.socket().open()
    world.socket().stats(1000)
    expect(shown().frames).toBe(0)
  })
})

describe('recorded history', () => {
  const entry = (timestamp) => ({ timestamp, utilization: 7, temperature: 8, memory_utilization: null })
  const recorded = (...times) => ({ history: times.map(entry) })
  const gpu = '0000:03:00.0'
  const asked = (world) => world.fetches.filter(({ path }) => path.startsWith('/gpu/history')).map(({ path }) => path)
  const times = (shown) => shown().histories.get(gpu).map(({ time }) => time)

  test('goes before what was seen, once for each GPU and connection', async () => {
    const { world, feed, shown } = aFeed({ routes: { '/gpu/history': recorded(997, 998, 999, 1000) } })
    feed.preload(gpu)
    expect(asked(world)).toEqual([]) // nothing is known of the service yet
    world.socket().open()
    world.socket().gpus(1000)
    feed.preload(gpu)
    feed.preload(gpu)
    world.socket().gpus(1001)
    await settle()
    // `to`: what was not known is null and not 0.
    expect(asked(world)).toEqual(['/gpu/history?minutes=1&to=1000&gpu=0000%3A03%3A00.0'])
    expect(times(shown)).toEqual([997, 998, 999, 1000, 1001])
    expect(shown().histories.get(gpu)[0].memory_utilization).toBe(null)
  })

  test('fills the gap after a reconnect', async () => {
    const { world, feed, shown } = aFeed({ routes: { '/gpu/history': recorded(1001, 1002, 1003) } })
    world.socket().open()
    world.socket().gpus(1000)
    world.socket().drop()
    feed.preload(gpu)
    await pass(3000)
    world.socket().open()
    world.socket().gpus(1004)
    await settle()
    expect(times(shown)).toEqual([1000, 1001, 1002, 1003, 1004])
  })

  test.each([
    ['a failure', forbidden], ['404', 404], ['422', 422], ['no JSON', '<html>'], ['null', 'null'], ['a list', []],
    ['no list in it', { history: {} }], ['strange entries', { history: [null, 3, { timestamp: 'x' }] }],
  ])('%s changes nothing', async (_, answer) => {
    const { world, feed, shown, state } = aFeed({ routes: { '/gpu/history': answer } })
    world.socket().open()
    world.socket().gpus(1000)
    feed.preload(gpu)
    await settle()
    expect([times(shown), state(), asked(world).length]).toEqual([[1000], 'open', 1])
  })

  test('none of an old service: it made it up', async () => {
    const { world, feed } = aFeed({ routes: { '/gpus': 404, '/gpu/stats': someStats(1000) } })
    await settle()
    feed.preload('')
    await settle()
    expect(asked(world)).toEqual([])
  })

  test('of a GPU that is not there none, and of many the 64 last ones', async () => {
    const { world, feed } = aFeed({ routes: { '/gpu/history': recorded() } })
    feed.preload('not there')
    const names = Array.from({ length: 100 }, (_, i) => `sim:${i}`)
    names.forEach((name) => feed.preload(name))
    world.socket().open()
    world.socket().gpus(1000, names.map((name) => aGPU({ gpu: name })))
    await settle()
    expect([asked(world).length, asked(world).at(-1)]).toEqual([64, '/gpu/history?minutes=1&to=1000&gpu=sim%3A99'])
  })

  test('comes too late: after the last panel is gone nothing changes', async () => {
    const { world, feed, unsubscribe, shown } = aFeed({ ignoresAbort: true })
    world.socket().open()
    world.socket().gpus(1000)
    feed.preload(gpu)
    unsubscribe()
    await settle()
    world.asked('/gpu/history').answer({ body: recorded(998) })
    await settle()
    expect(times(shown)).toEqual([1000])
  })

  test('of what was shown before the last panel was gone is not asked again', async () => {
    const { world, feed, unsubscribe } = aFeed({ routes: { '/gpu/history': recorded() } })
    feed.preload(gpu)
    unsubscribe()
    await settle()
    feed.subscribe(() => {})
    world.socket().open()
    world.socket().gpus(1000)
    expect(asked(world)).toEqual([])
  })

  test('is not asked for once nobody is subscribed', () => {
    const world = aWorld()
    newFeed(BASE, world.outside).preload(gpu)
    expect(world.fetches).toEqual([])
  })
})

describe('a hidden page', () => {
  test('takes the frames in and tells nobody; once when it is visible', async () => {
    const { world, shown, listener } = aFeed()
    world.socket().open()
    world.socket().gpus(1000)
    world.hide(true)
    listener.mockClear()
    for (let i = 1; i <= 30; i++) {
      world.socket().gpus(1000 + i)
      await pass(1000)
    }
    expect(listener).not.toHaveBeenCalled()
    expect(shown().histories.get('0000:03:00.0')).toHaveLength(31)
    world.hide(false)
    expect(listener).toHaveBeenCalledTimes(1)
    world.socket().gpus(1031)
    expect(listener).toHaveBeenCalledTimes(2)
  })

  test('nothing has changed: nobody is told', () => {
    const { world, listener } = aFeed()
    listener.mockClear()
    world.hide(true)
    world.hide(false)
    expect(listener).not.toHaveBeenCalled()
  })

  test('silence is judged when it is visible, 5 s from then', async () => {
    const { world, state } = aFeed({ routes: { '/gpus': forbidden } })
    world.socket().open()
    world.socket().gpus(1000)
    world.hide(true)
    await pass(600_000)
    expect([state(), world.sockets.length]).toEqual(['open', 1])
    world.hide(false)
    await pass(4999)
    expect(state()).toBe('open')
    await pass(1)
    expect(state()).toBe('waiting, silent')
  })

  test('reconnects all the same, so that the chart has no hole', async () => {
    const { world } = aFeed({ routes: { '/gpus': forbidden } })
    world.socket().open()
    world.socket().gpus(1000)
    world.hide(true)
    world.socket().drop()
    await pass(3000)
    expect(world.sockets.length).toBe(2)
  })
})

describe('the end', () => {
  /** What a feed may be in the middle of when its last panel goes. */
  const moments = {
    'connecting': async () => {},
    'open': async (world) => world.socket().open(),
    'with frames': async (world) => {
      world.socket().open()
      world.socket().gpus(1000)
    },
    'waiting for the next try': async (world) => world.socket().drop(),
    'after many tries': async (world) => {
      for (let i = 0; i < 5; i++) {
        if (world.count().sockets > 0) world.socket().drop()
        await pass(30_000)
      }
    },
    'living on fetches': async (world) => {
      world.socket().drop()
      world.asked('/gpus').answer({ body: aBody(1000) })
      await pass(4000)
    },
    'old service': async (world) => {
      world.asked('/gpus').answer({ status: 404 })
      await settle()
    },
    'silent': async (world) => {
      world.socket().open()
      await pass(5000)
    },
    'asking for a history': async (world, feed) => {
      world.socket().open()
      world.socket().gpus(1000)
      feed.preload('0000:03:00.0')
    },
    'hidden': async (world) => {
      world.socket().open()
      world.hide(true)
      world.socket().gpus(1000)
    },
  }

  test.each(Object.entries(moments))('%s: nothing is left, and nothing comes after', async (_, happens) => {
    const { world, feed, unsubscribe } = aFeed()
    await happens(world, feed)
    unsubscribe()
    await settle()
    expect([world.count(), vi.getTimerCount()]).toEqual([blank, 0])
    const made = [world.sockets.length, world.fetches.length]
    world.window.say('online')
    world.hide(false)
    world.sockets.forEach((socket) => socket.drop())
    await pass(600_000)
    expect([world.sockets.length, world.fetches.length, vi.getTimerCount()]).toEqual([...made, 0])
  })

  test('a fetch that cannot be aborted is not heard any more', async () => {
    const { world, unsubscribe, shown } = aFeed({ ignoresAbort: true })
    unsubscribe()
    await settle()
    expect(vi.getTimerCount()).toBe(0)
    world.asked('/gpus').answer({ body: aBody(1000) })
    await pass(60_000)
    expect([shown().received, vi.getTimerCount(), world.sockets.length]).toEqual([null, 0, 1])
  })

  test('50 times on and off, in every moment: nothing is left', async () => {
    const world = aWorld()
    const feed = newFeed(BASE, world.outside)
    const happenings = Object.values(moments)
    for (let i = 0; i < 50; i++) {
      const unsubscribe = feed.subscribe(() => {})
      await happenings[i % happenings.length](world, feed)
      unsubscribe()
      await settle()
      expect([i, world.count(), vi.getTimerCount()]).toEqual([i, blank, 0])
      world.hide(false)
    }
    const made = world.sockets.length
    await pass(600_000)
    expect(world.sockets.length).toBe(made)
  })

  test('50 times without waiting, as a panel that is torn in and out: one socket', async () => {
    const { world, feed, unsubscribe } = aFeed()
    unsubscribe()
    for (let i = 0; i < 50; i++) feed.subscribe(() => {})()
    expect(world.sockets.length).toBe(1)
    await settle()
    expect([world.count(), vi.getTimerCount()]).toEqual([blank, 0])
  })

  test('StrictMode mounts twice: one socket, and every sample once', async () => {
    const world = aWorld()
    const feed = newFeed(BASE, world.outside)
    const listener = vi.fn()
    feed.subscribe(listener)()
    const unsubscribe = feed.subscribe(listener)
    await settle()
    world.socket().open()
    listener.mockClear()
    world.socket().gpus(1000)
    expect([world.sockets.length, world.fetches.length, listener.mock.calls.length]).toEqual([1, 1, 1])
    expect(feed.getSnapshot().histories.get('0000:03:00.0')).toHaveLength(1)
    unsubscribe()
    await settle()
    expect([world.count(), vi.getTimerCount()]).toEqual([blank, 0])
  })

  test('the same listener twice, and an unsubscribe that is called twice', async () => {
    const world = aWorld()
    const feed = newFeed(BASE, world.outside)
    const listener = vi.fn()
    const [first] = [feed.subscribe(listener), feed.subscribe(listener)]
    first()
    first()
    await settle()
    expect(world.count().sockets).toBe(1)
    world.socket().open()
    expect(listener).toHaveBeenCalledTimes(1)
  })

  test('a listener may leave while it is told', async () => {
    const world = aWorld()
    const feed = newFeed(BASE, world.outside)
    const leave = feed.subscribe(() => leave())
    world.socket().open()
    await settle()
    expect([world.count(), vi.getTimerCount()]).toEqual([blank, 0])
  })

  test('mounted again after many tries: the first retry is after 3 s', async () => {
    const { world, feed, unsubscribe } = aFeed({ constructorThrows: true, routes: { '/gpus': forbidden } })
    await pass(300_000)
    unsubscribe()
    await settle()
    feed.subscribe(() => {})
    const before = world.attempts
    await pass(3000)
    expect(world.attempts).toBeGreaterThan(before)
  })

  test('mounted again: the last values are there at once, and it connects', async () => {
    const { world, feed, shown, unsubscribe } = aFeed()
    world.socket().open()
    world.socket().gpus(1000)
    unsubscribe()
    await pass(60_000)
    expect(shown()).toMatchObject({ connection: 'connecting', error: null, timestamp: 1000 })
    feed.subscribe(() => {})
    world.socket().open()
    world.socket().gpus(1060)
    expect(shown()).toMatchObject({ connection: 'open', timestamp: 1060 })
    expect(shown().histories.get('0000:03:00.0').map(({ time }) => time)).toEqual([1000, 1060])
  })
})

describe('hostile answers', () => {
  test.each([
    ['garbage', '<html>not it</html>'],
    ['empty', ''],
    ['null', 'null'],
    ['null fields', JSON.stringify({ schema: 1, version: null, timestamp: null, gpus: null })],
    ['too long', JSON.stringify(aBody(1000)).padEnd(MAX_TEXT + 1)],
  ])('%s on /gpus is no answer', async (_, body) => {
    const { world, shown, state } = aFeed({ routes: { '/gpus': body } })
    await settle()
    world.socket().drop()
    await settle()
    expect([shown().received, state()]).toEqual([null, 'waiting, unreachable'])
  })

  test('of an endless answer no more is read than may be', async () => {
    let pulled = 0
    const body = new ReadableStream({
      pull(controller) {
        pulled++
        controller.enqueue(new Uint8Array(1024 * 1024).fill(32))
      },
    })
    const { world, shown } = aFeed()
    world.asked('/gpus').answer({ body })
    await settle()
    await vi.waitFor(() => expect(pulled).toBeGreaterThan(4))
    await settle()
    expect([pulled <= 8, shown().received]).toEqual([true, null])
  })

  test.each([
    ['garbage', '}{'],
    ['no text', new ArrayBuffer(8)],
    ['null', 'null'],
    ['NaN', '{"type":"gpus","data":{"schema":1,"timestamp":NaN,"gpus":[]}}'],
    ['wrong types', { type: 'gpus', data: { schema: 1, timestamp: 1, gpus: 'x' } }],
    ['endless', `{"type":"gpus","data":${JSON.stringify(aBody(1000))}}`.padEnd(MAX_TEXT + 1)],
  ])('%s on the socket is no frame, and the next one counts', (_, frame) => {
    const { world, shown } = aFeed()
    world.socket().open()
    world.socket().send(frame)
    expect(shown().frames).toBe(0)
    world.socket().gpus(1000)
    expect(shown().frames).toBe(1)
  })

  test('names of prototypes, duplicates and empty GPUs', () => {
    const { world, shown } = aFeed()
    world.socket().open()
    const names = ['__proto__', 'constructor', 'a', 'a']
    world.socket().gpus(1000, [...names.map((gpu) => aGPU({ gpu, timestamp: 1000 })), {}, null, { gpu: 'bare' }])
    expect(shown().gpus.map(({ gpu }) => gpu)).toEqual(['__proto__', 'constructor', 'a', 'bare'])
    expect([...shown().histories.keys()]).toEqual(['__proto__', 'constructor', 'a', 'bare'])
  })

  test('a service that floods and lies for an hour stays bounded', async () => {
    const { world, shown } = aFeed()
    world.socket().open()
    for (let i = 0; i < 3600; i++) {
      world.socket().gpus(i, [aGPU({ gpu: `new:${i}`, timestamp: i }), aGPU({ gpu: 'b', timestamp: (i * 7919) % 100_000 })])
      await pass(1000)
    }
    expect(shown().histories.size).toBe(2)
    expect(Math.max(...[...shown().histories.values()].map(({ length }) => length))).toBeLessThanOrEqual(60)
    expect(vi.getTimerCount()).toBeLessThanOrEqual(2)
  })
})
