// The one connection of the page to a service: a socket, and fetches beside it where the socket gives nothing.
//
// It begins with /ws/gpus and GET /gpus. An old service has neither: its 404 leads to /ws/gpu-stats and GET /gpu/stats, and
// where a Content-Security-Policy forbids the fetch, two sockets that were closed without a frame do. Every reconnect
// begins with /ws/gpus again. Where sockets are forbidden, or silent as those of the old service, it lives on fetches.
import { MAX_TEXT, merge, parse, readFrame, readGpus, readStats } from './frames.js'
import { entryOf, newHistory, preload, push } from './history.js'

// Milliseconds.
const SILENCE = 5000 // the service sends a frame at least every 3 s
const EMPTY = 5000 // so long a service that has just begun may know no GPU yet
const OPENING = 10000 // a handshake that takes longer leads nowhere
const REQUEST = 10000 // and so does a request
const POLL = 3000 // between fetches where no frames come
const FIRST_RETRY = 3000
const LAST_RETRY = 30000

const MAX_PRELOADS = 64 // GPUs whose recorded history is asked for
const MAX_IDLE = 8 // feeds without a subscriber whose last values are kept

const ROUTES = {
  gpus: { socket: '/ws/gpus', fetch: '/gpus', read: readGpus },
  stats: { socket: '/ws/gpu-stats', fetch: '/gpu/stats', read: readStats },
}

/**
 * @typedef {Object} Snapshot never changed, only replaced
 * @property {'connecting'|'open'|'waiting'} connection waiting: for the next try. Open is also a service whose readings
 *   come by fetches alone
 * @property {null|'unreachable'|'service'|'silent'|'address'} error service: its socket opens, and closes without a frame;
 *   address: the base URL is none, nothing is tried
 * @property {boolean} legacy an old service: one GPU whose `gpu` is ''
 * @property {?string} version of the exporter
 * @property {?number} timestamp of the last body, by the service's clock
 * @property {Array<Object>} gpus see frames.js
 * @property {Map<string, Array>} histories by `gpu`, see history.js
 * @property {?number} received Date.now() when the last body came that counted
 * @property {number} frames of sockets that counted
 */

/**
 * The base URL of the service: what is given, else what was set when the application was built, else the host of the page
 * with the service's port. A path below which a proxy serves it is kept.
 * @param {string} [baseUrl] absolute, or relative to the page
 * @param {{href: string, protocol: string, hostname: string}} [location] of the page
 * @returns {?string} without a slash at its end; null where `baseUrl` is no address of a service
 */
export function resolveBase(baseUrl, location) {
  const isWeb = /^https?:$/.test(location?.protocol ?? '')
  const given = baseUrl || buildTimeUrl()
  if (!given) return isWeb ? `${location.protocol}//${location.hostname}:5009` : 'http://localhost:5009'
  let url
  try {
    url = new URL(given, isWeb ? location.href : undefined)
  } catch {
    return null
  }
  const protocol = url.protocol.replace(/^ws/, 'http')
  // fetch refuses an address with a name or password in it.
  if (!/^https?:$/.test(protocol) || url.username || url.password) return null
  return `${protocol}//${url.host}${url.pathname}`.replace(/\/+$/, '')
}

function buildTimeUrl() {
  try {
    return process.env.REACT_APP_GPU_STATS_URL // Create React App replaces this by the value
  } catch {
    return undefined // no `process` in a browser: nothing was replaced
  }
}

/* global globalThis */
// Of the page, not of this module: two copies of the panel in one bundle share their feeds all the same.
const FEEDS = Symbol.for('gpu_exporter.panel.feeds.1')

/**
 * The feed of a base URL (as given to the panel; undefined: the default): the same object for the same service, for all
 * panels of the page.
 * @param {string} [baseUrl]
 * @param {Object} [outside] everything outside of the module that a feed uses
 */
export function feedOf(baseUrl, outside = browser()) {
  const feeds = (globalThis[FEEDS] ??= new Map())
  const base = resolveBase(baseUrl, outside.location)
  if (!feeds.has(base)) {
    const idle = [...feeds].filter(([, feed]) => feed.isIdle())
    for (const [key] of idle.slice(0, Math.max(0, idle.length - MAX_IDLE + 1))) feeds.delete(key)
    feeds.set(base, newFeed(base, outside))
  }
  return feeds.get(base)
}

function browser() {
  const page = globalThis
  return {
    WebSocket: page.WebSocket,
    fetch: (...args) => page.fetch(...args),
    setTimeout: (...args) => page.setTimeout(...args),
    clearTimeout: (id) => page.clearTimeout(id),
    now: () => Date.now(),
    random: () => Math.random(),
    document: page.document,
    window: page.window,
    location: page.location,
  }
}

/**
 * A feed. The first subscriber connects it; after the last one nothing of it is left but its last values.
 *
 * `base` is the URL or null. `subscribe(listener)` -> unsubscribe and `getSnapshot()` are for useSyncExternalStore.
 * `preload(gpu)` asks for the recorded history of a GPU, now and after each reconnect; again and again does no harm.
 * @param {?string} base as `resolveBase` gives it
 * @param {Object} outside
 */
export function newFeed(base, outside) {
  const { document, window } = outside
  const subscribers = new Set()
  const timers = new Map() // by what they are for
  const preloads = new Set() // GPUs that a panel shows

  let snapshot = Object.freeze({
    connection: base === null ? 'waiting' : 'connecting',
    error: base === null ? 'address' : null,
    legacy: false, version: null, timestamp: null, gpus: [], histories: new Map(), received: null, frames: 0,
  })
  let attempt = null // the present one; null: closed
  let retries = 0 // since the last frame
  let refusals = 0 // of /ws/gpus, one after another, while no fetch was answered
  let isBehind = false // the listeners do not know the snapshot yet

  // ---- Listeners ----

  function subscribe(listener) {
    const subscriber = { listener } // the same function may come twice
    subscribers.add(subscriber)
    cancel('close')
    if (base !== null && attempt === null) open()
    return () => {
      if (!subscribers.delete(subscriber) || subscribers.size > 0) return
      // Not at once: StrictMode, or a page that replaces another, subscribes again in the same moment.
      if (base !== null) after('close', 0, close)
    }
  }

  function update(changes) {
    if (Object.keys(changes).every((key) => Object.is(changes[key], snapshot[key]))) return
    snapshot = Object.freeze({ ...snapshot, ...changes })
    isBehind = true
    tell()
  }

  /** Nobody looks at a hidden page: its panels are told when it is visible again, once. */
  function tell() {
    if (!isBehind || isHidden()) return
    isBehind = false
    for (const { listener } of [...subscribers]) listener()
  }

  // ---- Opening and closing ----

  function open() {
    document?.addEventListener('visibilitychange', onVisibility)
    window?.addEventListener('online', retryNow)
    retries = 0
    refusals = 0
    begin('gpus')
  }

  function close() {
    document?.removeEventListener('visibilitychange', onVisibility)
    window?.removeEventListener('online', retryNow)
    end()
    preloads.clear()
    update({ connection: 'connecting', error: null })
  }

  function onVisibility() {
    if (isHidden()) return
    tell()
    // Timers of a hidden page are late, and its frames may come in now: the silence is counted from here.
    if (attempt.socket) watch(attempt, attempt.isOpen ? SILENCE : OPENING)
    retryNow()
  }

  function retryNow() {
    if (timers.has('retry')) retry()
  }

  function retry() {
    conclude(attempt)
    begin('gpus')
  }

  // ---- One attempt: a socket and what is fetched beside it ----

  /** @param {boolean} [isOld] the service has answered that it knows no /gpus */
  function begin(path, isOld = false) {
    const isAnswered = attempt !== null && attempt.isAnswered // until a fetch says otherwise
    const emptySince = isAnswered ? attempt.emptySince : null // the same service goes on
    end()
    const mine = {
      path, isOld,
      socket: null, isOpen: false, wasOpen: false, isSilent: false,
      frames: 0,
      isFetching: false, isAnswered, // by the last fetch, and no frames came since
      isFirst: true, // no body yet
      emptySince, // when the first of the bodies without a GPU came that come now
      requests: new Map(), // AbortController -> its timer
      preloaded: new Set(),
    }
    attempt = mine
    ask(mine)
    dial(mine)
    show()
  }

  function end() {
    if (attempt === null) return
    hangUp(attempt)
    for (const [controller, timer] of attempt.requests) {
      outside.clearTimeout(timer)
      controller.abort()
    }
    attempt = null
    cancel('retry')
    cancel('poll')
  }

  /** The connection as it is now. */
  function show(changes = {}) {
    const { isOpen, isAnswered } = attempt
    const connection = isOpen || isAnswered ? 'open' : timers.has('retry') ? 'waiting' : 'connecting'
    update({ connection, ...changes })
  }

  /** What is wrong where the socket of an attempt is gone. One that was closed after its frames is no error yet. */
  function conclude(mine) {
    if (mine.isAnswered) return
    if (mine.isSilent) show({ error: 'silent' })
    else if (mine.frames === 0) show({ error: mine.wasOpen ? 'service' : 'unreachable' })
  }

  // ---- The socket ----

  function dial(mine) {
    try {
      mine.socket = new outside.WebSocket(base.replace(/^http/, 'ws') + ROUTES[mine.path].socket)
    } catch {
      lost(mine) // forbidden by the page, or no sockets here: as if it had been closed
      return
    }
    watch(mine, OPENING)
    mine.socket.onopen = () => {
      mine.isOpen = mine.wasOpen = true
      watch(mine, SILENCE)
      show({ error: snapshot.error === 'unreachable' ? null : snapshot.error })
    }
    mine.socket.onmessage = ({ data }) => {
      const frame = readFrame(data)
      if (frame === null || frame.kind !== mine.path || !isNewer(mine, frame.body)) return
      mine.frames++
      retries = 0
      mine.isAnswered = false // the frames are enough
      cancel('poll')
      watch(mine, SILENCE)
      take(mine, frame.body, { frames: snapshot.frames + 1 })
    }
    mine.socket.onclose = () => lost(mine)
  }

  function watch(mine, time) {
    after('watch', time, () => {
      if (isHidden()) return // judged when it is visible
      mine.isSilent = mine.isOpen
      lost(mine)
    })
  }

  function hangUp(mine) {
    cancel('watch')
    mine.isOpen = false
    const { socket } = mine
    mine.socket = null
    if (socket === null) return
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.close()
  }

  /** The socket of an attempt is closed, could not be made, or has not said anything for too long. */
  function lost(mine) {
    hangUp(mine)
    // A service that is away refuses as an old one does: where frames of /ws/gpus came before, only a socket that opened
    // counts. The price: where the fetch is forbidden, one that was replaced by an old service is known as such only after
    // a reload.
    const mayBeOld = mine.wasOpen || snapshot.frames === 0 || snapshot.legacy
    if (mine.path === 'gpus' && mine.frames === 0 && !mine.isAnswered && mayBeOld) refusals++
    else refusals = 0
    // One that was an old service before is so again, most likely.
    if (refusals >= (snapshot.legacy ? 1 : 2)) {
      refusals = 0
      begin('stats')
      return
    }
    after('retry', delay(), retry)
    if (mine.isSilent || !mine.isFetching) conclude(mine)
    show()
  }

  /** 3 s, as ever; then growing to 30 s, each client at a time of its own. */
  function delay() {
    const longest = Math.min(LAST_RETRY, FIRST_RETRY * 2 ** retries)
    return retries++ === 0 ? longest : longest * (0.5 + 0.5 * outside.random())
  }

  // ---- Fetches ----

  /** Asks for the readings, and again every 3 s as long as answers come and frames do not. */
  async function ask(mine) {
    mine.isFetching = true
    // Also beside the old socket: one that came to it by refusals may have a new service before it after all.
    let path = mine.isOld ? 'stats' : 'gpus'
    let answer = await get(mine, ROUTES[path].fetch)
    if (mine === attempt && path === 'gpus' && answer.status === 404 && mine.frames === 0) {
      if (mine.path === 'gpus') {
        begin('stats', true)
        return
      }
      path = 'stats'
      answer = await get(mine, ROUTES[path].fetch)
    }
    if (mine !== attempt) return
    mine.isFetching = false
    const body = ROUTES[path].read(answer.body)
    mine.isAnswered = body !== null && mine.frames === 0
    if (body === null) {
      if (mine.socket === null) conclude(mine)
      show()
      return
    }
    if (path !== mine.path) {
      begin('gpus')
      return
    }
    if (mine.isAnswered) after('poll', POLL, () => ask(mine))
    if (isNewer(mine, body)) take(mine, body)
  }

  /** A request of an attempt. Whatever goes wrong, and whatever is no JSON, is an answer without a body. */
  async function get(mine, path) {
    const controller = new AbortController()
    mine.requests.set(controller, outside.setTimeout(() => controller.abort(), REQUEST))
    try {
      const response = await outside.fetch(base + path, { signal: controller.signal, cache: 'no-store' })
      return { status: response.status, body: response.ok ? parse(await textOf(response)) : undefined }
    } catch {
      return { status: 0 } // forbidden, unreachable or too slow: a browser does not say which
    } finally {
      outside.clearTimeout(mine.requests.get(controller))
      mine.requests.delete(controller)
    }
  }

  async function fetchHistory(mine, gpu) {
    mine.preloaded.add(gpu)
    // With `to` what was not known is null; without, it is 0 as in the old service.
    const query = new URLSearchParams({ minutes: 1, to: snapshot.timestamp, gpu })
    const { body } = await get(mine, `/gpu/history?${query}`)
    const history = snapshot.histories.get(gpu)
    if (mine !== attempt || history === undefined) return
    const filled = preload(history, body?.history)
    if (filled !== history) update({ histories: new Map(snapshot.histories).set(gpu, filled) })
  }

  function askHistories(mine) {
    // What the old service told was made up.
    if (mine.isFirst || snapshot.legacy) return
    for (const gpu of preloads) {
      if (snapshot.histories.has(gpu) && !mine.preloaded.has(gpu)) fetchHistory(mine, gpu)
    }
  }

  // ---- Bodies ----

  /** The first body of an attempt counts whatever its time: the service's clock may have been set back. */
  function isNewer(mine, body) {
    return mine.isFirst || body.timestamp >= snapshot.timestamp
  }

  /** A service that has just begun knows no GPU until its first cycle has ended: that there is none is believed later. */
  function isBelieved(mine, body) {
    mine.emptySince = body.gpus.length > 0 ? null : (mine.emptySince ?? outside.now())
    return mine.emptySince === null || outside.now() - mine.emptySince >= EMPTY
  }

  function take(mine, body, changes = {}) {
    if (!isBelieved(mine, body)) {
      show({ error: null, ...changes })
      return
    }
    const merged = merge(mine.isFirst ? { ...snapshot, timestamp: null } : snapshot, body)
    mine.isFirst = false
    const histories = new Map(merged.gpus.map((gpu) => {
      const history = snapshot.histories.get(gpu.gpu) ?? newHistory()
      const entry = entryOf(gpu)
      return [gpu.gpu, entry === null ? history : push(history, entry)]
    }))
    show({ ...merged, histories, legacy: mine.path === 'stats', received: outside.now(), error: null, ...changes })
    askHistories(mine)
  }

  // ---- Timers and the page ----

  function after(name, time, call) {
    cancel(name)
    timers.set(name, outside.setTimeout(() => {
      timers.delete(name)
      call()
    }, time))
  }

  function cancel(name) {
    if (timers.has(name)) outside.clearTimeout(timers.get(name))
    timers.delete(name)
  }

  function isHidden() {
    return document?.visibilityState === 'hidden'
  }

  return {
    base,
    subscribe,
    getSnapshot: () => snapshot,
    preload(gpu) {
      if (attempt === null) return
      preloads.delete(gpu)
      preloads.add(gpu) // the newest is the last
      if (preloads.size > MAX_PRELOADS) preloads.delete(preloads.values().next().value)
      askHistories(attempt)
    },
    isIdle: () => subscribers.size === 0,
  }
}

/** The text of an answer; of one that is too long its beginning, which `parse` refuses. */
async function textOf(response) {
  const decoder = new TextDecoder()
  const reader = response.body.getReader()
  let text = ''
  while (text.length <= MAX_TEXT) {
    const { done, value } = await reader.read()
    if (done) return text + decoder.decode()
    text += decoder.decode(value, { stream: true })
  }
  await reader.cancel()
  return text
}
