// For the tests alone: bodies of the service, a page, and a service whose sockets and answers a test decides on.

const PRIMARY = {
  temperature: 24, utilization: 2, memory_used: 1536, memory_total: 16368, memory_utilization: 9.4, core_clock: 2011,
  memory_clock: 456, power_usage: 32, fan_speed: 35, driver_version: null,
}
const UNREAD = Object.fromEntries(Object.keys(PRIMARY).map((key) => [key, null]))

/** The object of GET /gpus for a GPU: the example of legacy-api.md 15.2, with changes. */
export function aGPU({ primary, ...changes } = {}) {
  return {
    gpu: '0000:03:00.0', index: 0, name: 'AMD Radeon RX 7800 XT', vendor: 'amd', type: 'discrete', uuid: null,
    pci_id: '1002:747e', driver: 'amdgpu', driver_version: null, vbios: '113-EXT90249-100', source: 'sysfs',
    simulated: false, state: 'ok', up: true, timestamp: 1000, age_seconds: 0.4,
    primary: { ...PRIMARY, ...primary },
    sensors: { edge: { celsius: 24, limits_celsius: { critical: 100, emergency: 105 } }, vr_soc: { celsius: 32 } },
    margin_celsius: null,
    memory: { vram: { used_bytes: 1610612736, total_bytes: 17163091968 } },
    power: { package: { watts: 32, average_watts: 32, limits_watts: { current: 236, default: 236, max: 280, min: 212 } } },
    clocks: { graphics: { hertz: 2011000000, limits_hertz: { max: 2254000000, min: 500000000 } }, soc: { hertz: 750000000 } },
    fans: [{ fan: 1, rpm: 868, duty_ratio: 0.349, min_rpm: 0, max_rpm: 3300, target_rpm: 868 }],
    throttle: [],
    pcie: { width: 16, transfers_per_second: 16000000000 },
    ...changes,
  }
}

/** The same for a GPU that is asleep, hung or gone. */
export function aGPUWithout(state, changes = {}) {
  const empty = { sensors: {}, memory: {}, power: {}, clocks: {}, fans: [], throttle: null, pcie: {} }
  return aGPU({ state, up: state === 'asleep', primary: UNREAD, ...empty, ...changes })
}

/** A body of GET /gpus; each GPU's reading is of the body's time unless it says otherwise. */
export function aBody(timestamp, gpus = [aGPU({ timestamp })]) {
  return { schema: 1, version: '1.0.0', timestamp, gpus }
}

/** A body of GET /gpu/stats. */
export function someStats(timestamp, changes = {}) {
  return {
    name: 'AMD Radeon RX 7800 XT', temperature: 45, utilization: 7.000000000000001, memory_used: 1536, memory_total: 16384,
    memory_utilization: 9.4, core_clock: 2011, memory_clock: 456, power_usage: 32, fan_speed: 0, driver_version: 'Unknown',
    timestamp, status: 'healthy', gpu_type: 'amd', monitoring_method: 'rocm', ...changes,
  }
}

/** A window or document that knows its listeners: 'type' -> functions. */
function aTarget() {
  const listeners = new Map()
  const of = (type) => listeners.get(type) ?? listeners.set(type, new Set()).get(type)
  return {
    addEventListener: (type, listener) => of(type).add(listener),
    removeEventListener: (type, listener) => of(type).delete(listener),
    count: () => [...listeners.values()].reduce((sum, { size }) => sum + size, 0),
    say: (type) => [...of(type)].forEach((listener) => listener()),
  }
}

/**
 * All that a feed uses of the world outside, with the service behind it.
 *
 * - `sockets`: all that were made, each with its `path`; a test opens them, sends by them and closes them.
 * - `fetches`: all that were made, each with its `path`, `answer(body, status)` and `fail()`.
 * - `routes`: what is answered at once: path -> a body, a status, or an Error. What is not there is left to the test.
 * - `count()`: what is open now.
 */
export function aWorld({ routes = {}, constructorThrows = false, ignoresAbort = false } = {}) {
  const document = { ...aTarget(), visibilityState: 'visible' }
  const window = aTarget()
  const world = { sockets: [], fetches: [], routes, document, window }

  class FakeWebSocket {
    constructor(url) {
      world.attempts = (world.attempts ?? 0) + 1
      if (constructorThrows) throw new Error('SecurityError')
      Object.assign(this, { url, path: new URL(url).pathname, readyState: 0, onopen: null, onmessage: null, onclose: null })
      world.sockets.push(this)
    }

    close() {
      this.readyState = 3
    }

    // What a test does to it.
    open() {
      this.readyState = 1
      this.onopen?.({})
    }

    send(frame) {
      this.onmessage?.({ data: typeof frame === 'object' && frame !== null ? JSON.stringify(frame) : frame })
    }

    gpus(timestamp, gpus) {
      this.send({ type: 'gpus', data: aBody(timestamp, gpus) })
    }

    stats(timestamp, changes) {
      this.send({ type: 'gpu_stats', data: someStats(timestamp, changes) })
    }

    drop() {
      this.readyState = 3
      this.onclose?.({})
    }
  }

  function fetch(url, { signal }) {
    const { pathname, search } = new URL(url)
    const one = { url, path: pathname + search, isOver: false }
    world.fetches.push(one)
    return new Promise((resolve, reject) => {
      const over = (settle) => (value) => {
        one.isOver = true
        settle(value)
      }
      one.fail = over(() => reject(new TypeError('Failed to fetch')))
      one.answer = over(({ body, status = 200 }) => {
        const isRaw = typeof body === 'string' || body instanceof ReadableStream
        resolve(new Response(isRaw ? body : JSON.stringify(body ?? { detail: 'Not Found' }), { status }))
      })
      if (!ignoresAbort) signal.addEventListener('abort', over(() => reject(signal.reason)))
      const route = routes[pathname]
      if (typeof route === 'function') one.answer({ body: route() })
      else if (route instanceof Error) one.fail()
      else if (typeof route === 'number') one.answer({ status: route })
      else if (route !== undefined) one.answer({ body: route })
    })
  }

  return Object.assign(world, {
    outside: {
      WebSocket: FakeWebSocket,
      fetch,
      setTimeout: (...args) => setTimeout(...args),
      clearTimeout: (id) => clearTimeout(id),
      now: () => Date.now(),
      random: () => 0.5,
      document,
      window,
      location: { href: 'http://host:3000/page', protocol: 'http:', hostname: 'host' },
    },
    /** The newest socket, and the newest fetch of a path. */
    socket: () => world.sockets.at(-1),
    asked: (path) => world.fetches.findLast((one) => one.path.startsWith(path)),
    paths: () => world.sockets.map(({ path }) => path),
    count: () => ({
      sockets: world.sockets.filter(({ readyState }) => readyState !== 3).length,
      handlers: world.sockets.filter(({ onopen, onmessage, onclose }) => onopen || onmessage || onclose).length,
      fetches: world.fetches.filter(({ isOver }) => !isOver).length,
      listeners: document.count() + window.count(),
    }),
    hide(isHidden) {
      document.visibilityState = isHidden ? 'hidden' : 'visible'
      document.say('visibilitychange')
    },
  })
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function seeded(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
