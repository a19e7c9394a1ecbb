// What the service sends, brought into one shape and checked, so that nothing behind it can throw on bad input.
//
// A GPU is the object of GET /gpus. A reading of the old service (/gpu/stats, /ws/gpu-stats) is brought into the same
// shape, with `legacy: true`: there 0 may stand for what the hardware does not tell.

/**
 * @typedef {Object} Reading what one body says
 * @property {?string} version of the exporter; null of the old service
 * @property {number} timestamp Unix seconds by the service's clock
 * @property {Array<Object>} gpus objects of GET /gpus, each with `legacy`, after `merge` also `kept`: the last object of
 *   this GPU that had readings, where this one has none, or null
 */

/** A longer answer or frame is none of the service: 1024 GPUs are less than half of it. */
export const MAX_TEXT = 4 * 1024 * 1024

const MAX_GPUS = 1024
const MAX_ENTRIES = 256 // of a section; the longest real one has some 40
const MAX_STRING = 256

const NUMBERS = [
  'temperature', 'utilization', 'memory_used', 'memory_total', 'memory_utilization',
  'core_clock', 'memory_clock', 'power_usage', 'fan_speed',
]
const NAMES = [
  'name', 'vendor', 'type', 'uuid', 'pci_id', 'driver', 'driver_version', 'vbios', 'source',
]

const STATES = ['ok', 'partial', 'asleep', 'hung', 'gone']

// The entries of a section: keys that are numbers, and the one, if any, that holds limits by name.
const SECTIONS = {
  sensors: { numbers: ['celsius'], limits: 'limits_celsius' },
  memory: { numbers: ['used_bytes', 'total_bytes', 'reserved_bytes'] },
  power: { numbers: ['watts', 'average_watts', 'energy_joules'], limits: 'limits_watts' },
  clocks: { numbers: ['hertz'], limits: 'limits_hertz' },
}
const FAN = ['fan', 'rpm', 'duty_ratio', 'min_rpm', 'max_rpm', 'target_rpm']
const PCIE = ['width', 'max_width', 'transfers_per_second', 'max_transfers_per_second']

/**
 * Reads a body of GET /gpus, parsed. A GPU without identity, or with one that was there before, is left out.
 * @returns {?Reading} null where it is none
 */
export function readGpus(body) {
  if (!isObject(body) || body.schema !== 1 || !Array.isArray(body.gpus) || number(body.timestamp) === null) return null
  const gpus = new Map()
  for (const gpu of body.gpus.slice(0, MAX_GPUS)) {
    if (isObject(gpu) && isIdentity(gpu.gpu) && !gpus.has(gpu.gpu)) gpus.set(gpu.gpu, readGpu(gpu, gpus.size))
  }
  return { version: string(body.version), timestamp: body.timestamp, gpus: [...gpus.values()] }
}

/**
 * Reads a body of GET /gpu/stats, parsed.
 * @returns {?Reading} null where it is none; else one GPU whose `gpu` is ''
 */
export function readStats(data) {
  if (!isObject(data) || number(data.timestamp) === null) return null
  const { timestamp } = data
  const known = (key) => (/^unknown$/i.test(string(data[key]) ?? '') ? null : data[key]) // the old word for absence
  const gpu = {
    name: data.name,
    vendor: known('gpu_type'),
    driver_version: known('driver_version'),
    source: data.monitoring_method,
    // The old service made values up where it could read none, and said so here.
    simulated: data.monitoring_method === 'simulation',
    state: 'ok',
    up: true,
    timestamp,
    primary: { ...data, driver_version: known('driver_version') },
  }
  return { version: null, timestamp, gpus: [{ ...readGpu(gpu, 0), gpu: '', legacy: true }] }
}

/**
 * Reads a frame of a socket.
 * @returns {?{kind: 'gpus'|'stats', body: Reading}} null for every other frame
 */
export function readFrame(text) {
  const frame = parse(text)
  const form = isObject(frame) && FRAMES.find(({ type }) => type === frame.type)
  const body = form ? form.read(frame.data) : null
  return body && { kind: form.kind, body }
}

const FRAMES = [
  { type: 'gpus', kind: 'gpus', read: readGpus },
  { type: 'gpu_stats', kind: 'stats', read: readStats },
]

/** JSON of the service, or undefined where it is none or too long. */
export function parse(text) {
  if (typeof text !== 'string' || text.length > MAX_TEXT) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined // what cannot be read counts as not sent: who sends nothing else is silent
  }
}

/** Whether a GPU has any reading now. Asleep, hung and lost ones have none. */
export function hasReadings(gpu) {
  return NUMBERS.some((key) => gpu.primary[key] !== null) || gpu.fans.length > 0 ||
    Object.keys(SECTIONS).some((key) => Object.keys(gpu[key]).length > 0)
}

/**
 * What is shown after a body: `previous` itself where the body is older. A GPU without readings keeps its last ones in
 * `kept`; a GPU that is no longer told of is forgotten.
 * @param {{timestamp: ?number, gpus: Array<Object>}} previous with the timestamp null whatever comes is newer
 * @param {Reading} read
 * @returns {Reading}
 */
export function merge(previous, read) {
  if (previous.timestamp !== null && read.timestamp < previous.timestamp) return previous
  const before = new Map(previous.gpus.map((gpu) => [gpu.gpu, gpu]))
  const gpus = read.gpus.map((gpu) => ({ ...gpu, kept: hasReadings(gpu) ? null : lastReadings(before.get(gpu.gpu)) }))
  return { version: read.version, timestamp: read.timestamp, gpus }
}

function lastReadings(gpu) {
  if (!gpu) return null
  return hasReadings(gpu) ? gpu : gpu.kept
}

/**
 * The service's clock now, by the last body and the time since: the browser's own may be wrong by hours.
 * @param {{timestamp: ?number, received: ?number}} snapshot of the feed
 * @param {number} [now] in milliseconds
 * @returns {?number} Unix seconds; null before the first body
 */
export function serviceNow({ timestamp, received }, now = Date.now()) {
  return received === null ? null : timestamp + sinceReceived(received, now)
}

/**
 * Seconds since the reading of a GPU was made.
 * @param {Object} gpu of `snapshot.gpus`, or the `kept` of one
 * @param {{timestamp: ?number, received: ?number}} snapshot of the feed
 * @param {number} [now] in milliseconds
 * @returns {?number} null where it was never read
 */
export function readingAge(gpu, snapshot, now = Date.now()) {
  if (gpu.timestamp === null || snapshot.received === null) return null
  // The old service tells no age, and its body has the time of the reading: there only the two clocks can say.
  if (gpu.legacy) return Math.max(0, now / 1000 - gpu.timestamp)
  return Math.max(0, snapshot.timestamp - gpu.timestamp) + sinceReceived(snapshot.received, now)
}

function sinceReceived(received, now) {
  return Math.max(0, now - received) / 1000
}

function readGpu(gpu, position) {
  const primary = isObject(gpu.primary) ? gpu.primary : {}
  return {
    gpu: gpu.gpu,
    index: Number.isInteger(gpu.index) && gpu.index >= 0 ? gpu.index : position,
    ...pick(gpu, NAMES, string),
    simulated: gpu.simulated === true,
    state: STATES.includes(gpu.state) ? gpu.state : gpu.up === true ? 'ok' : 'gone',
    up: gpu.up === true,
    timestamp: number(gpu.timestamp),
    age_seconds: number(gpu.age_seconds),
    primary: { ...pick(primary, NUMBERS, number), driver_version: string(primary.driver_version) },
    ...Object.fromEntries(Object.entries(SECTIONS).map(([key, form]) => [key, readSection(gpu[key], form)])),
    margin_celsius: number(gpu.margin_celsius),
    fans: list(gpu.fans).filter(isObject).map((fan) => present(fan, FAN)).filter((fan) => 'fan' in fan),
    throttle: Array.isArray(gpu.throttle) ? list(gpu.throttle).map(string).filter((reason) => reason !== null) : null,
    pcie: isObject(gpu.pcie) ? present(gpu.pcie, PCIE) : {},
    legacy: false,
  }
}

/** A section: only entries that have something, in them only what was read. */
function readSection(section, { numbers, limits }) {
  return byName(section, (entry) => {
    if (!isObject(entry)) return null
    const read = present(entry, numbers)
    const allowed = limits ? byName(entry[limits], number) : {}
    if (Object.keys(allowed).length > 0) read[limits] = allowed
    return Object.keys(read).length > 0 ? read : null
  })
}

/**
 * An object whose values went through `read`, without those that became null. fromEntries: also a key such as __proto__
 * is only a key.
 */
function byName(object, read) {
  if (!isObject(object)) return {}
  const entries = Object.entries(object).slice(0, MAX_ENTRIES).filter(([name]) => name.length <= MAX_STRING)
  return Object.fromEntries(entries.map(([name, value]) => [name, read(value)]).filter(([, value]) => value !== null))
}

/** These keys of an object, each of them. */
function pick(object, keys, read) {
  return Object.fromEntries(keys.map((key) => [key, read(object[key])]))
}

/** These keys of an object that are numbers. */
function present(object, keys) {
  return Object.fromEntries(keys.map((key) => [key, number(object[key])]).filter(([, value]) => value !== null))
}

function list(value) {
  return Array.isArray(value) ? value.slice(0, MAX_ENTRIES) : []
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isIdentity(value) {
  return typeof value === 'string' && value !== '' && value.length <= MAX_STRING
}

function number(value) {
  return Number.isFinite(value) ? value : null // of another type: never finite
}

function string(value) {
  return typeof value === 'string' && value !== '' ? value.slice(0, MAX_STRING) : null
}
