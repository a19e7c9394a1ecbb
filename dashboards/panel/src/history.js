// The last 60 readings of a GPU for the chart. Histories are never changed, only replaced, as React likes it.

/** @typedef {{time: number, utilization: ?number, temperature: ?number, memory_utilization: ?number}} Entry */

/** So many entries a history has at most. */
export const LENGTH = 60

// Entries lie at least so far apart, so that 60 of a service that reads five times a second still are 60 seconds. A bit
// less than a second: readings made each second come a few milliseconds early or late.
const APART = 0.95

// Where the last entry is more than so many seconds ahead of a new one, the service's clock was set back, and what came
// before is of no use: it would be drawn as newer. The feed leaves older bodies of a connection out, so that the new one
// is the first after a reconnect.
const SET_BACK = 2

const KEYS = ['utilization', 'temperature', 'memory_utilization']

/** A history without entries: an array of Entry, oldest first. */
export function newHistory() {
  return []
}

/** The entry for a GPU's present reading, or null where it was never read. */
export function entryOf(gpu) {
  return gpu.timestamp === null ? null : entry(gpu.timestamp, gpu.primary)
}

/**
 * The history with an entry more.
 * @param {Array<Entry>} history
 * @param {Entry} added
 * @returns {Array<Entry>} the same one where the entry is not newer
 */
export function push(history, added) {
  const last = history.at(-1)
  if (last && last.time - added.time > SET_BACK) return [added]
  if (last && added.time - last.time < APART) return history
  return [...history, added].slice(-LENGTH)
}

/**
 * The history with what /gpu/history tells put where there is nothing: before its first entry, and into the gap that a lost
 * connection left. What is newer than its last entry is left to the frames.
 * @param {Array<Entry>} history
 * @param {*} recorded [{timestamp, utilization, temperature, memory_utilization}, ...] as it came
 * @returns {Array<Entry>}
 */
export function preload(history, recorded) {
  if (!Array.isArray(recorded)) return history
  const end = history.at(-1)?.time ?? Infinity
  const candidates = recorded
    .filter((one) => Number.isFinite(one?.timestamp) && one.timestamp < end)
    .map((one) => entry(one.timestamp, one))
    .sort(byTime)
    .slice(-2 * LENGTH)
  const isFree = (time) => history.every((other) => Math.abs(other.time - time) >= APART)
  const added = []
  for (const one of candidates) {
    if (isFree(one.time) && !(one.time - added.at(-1)?.time < APART)) added.push(one)
  }
  return added.length === 0 ? history : [...added, ...history].sort(byTime).slice(-LENGTH)
}

/**
 * The pieces of a curve. It breaks where a reading is absent, and where two lie so far apart that some are missing: five
 * seconds, or more where the service reads seldom.
 * @param {Array<Entry>} history
 * @param {'utilization'|'temperature'|'memory_utilization'} key
 * @param {number} now Unix seconds by the service's clock (`serviceNow` of frames.js)
 * @param {number} [span] seconds
 * @returns {Array<Array<{x: number, value: number}>>} x from 0 (`span` seconds ago) to 1 (now)
 */
export function segments(history, key, now, span = 60) {
  const longest = Math.max(5, 2.5 * medianSpacing(history))
  const pieces = []
  let before = null // the entry before, where the curve can go on from it
  for (const one of history) {
    const x = 1 - (now - one.time) / span
    // A little after now: between two bodies the service's clock is only guessed.
    const isShown = one[key] !== null && x >= 0 && x <= 1 + 2 / span
    if (isShown) {
      if (before === null || one.time - before.time > longest) pieces.push([])
      pieces.at(-1).push({ x: Math.min(x, 1), value: one[key] })
    }
    before = isShown ? one : null
  }
  return pieces
}

function medianSpacing(history) {
  const spacings = history.slice(1).map((one, i) => one.time - history[i].time).sort((a, b) => a - b)
  return spacings.length === 0 ? 0 : spacings[Math.floor(spacings.length / 2)]
}

function entry(time, values) {
  return { time, ...Object.fromEntries(KEYS.map((key) => [key, Number.isFinite(values[key]) ? values[key] : null])) }
}

function byTime(a, b) {
  return a.time - b.time
}
