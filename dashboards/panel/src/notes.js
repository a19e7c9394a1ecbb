// What is told of a GPU that is not simply well.
import { alerts, isUrgent } from './bands.js'
import { hasReadings } from './frames.js'

const NOTES = {
  partial: { severity: 'warning', emoji: '⚠️', text: 'state_partial_explained' },
  asleep: { severity: 'info', emoji: '💤', text: 'state_asleep_explained' },
  hung: { severity: 'error', emoji: '🚨', text: 'state_hung_explained' },
  gone: { severity: 'error', emoji: '🚨', text: 'state_gone_explained' },
}
const FAILED = { severity: 'error', emoji: '🚨', text: 'state_failed' } // metrics.md 2a: awake, and all readings failed
const UNREAD = { severity: 'info', emoji: '⏳', text: 'state_unread' } // the last reading is too old to be served

/**
 * What the state of a GPU calls for.
 * @param {Object} gpu
 * @returns {?{severity: 'error'|'warning'|'info', emoji: string, text: string}} `text` is a key of texts.js
 */
export function noteOf(gpu) {
  if (gpu.state === 'partial' && !gpu.up) return FAILED
  const isUnread = gpu.timestamp !== null && !hasReadings(gpu)
  return NOTES[gpu.state] ?? (isUnread ? UNREAD : null)
}

/** The warnings that a reader is to hear of when they are new: alerts, and that a GPU is lost to us. */
export function warnings(gpu) {
  const note = noteOf(gpu)
  return [...(note?.severity === 'error' ? [note] : []), ...alerts(gpu).filter(isUrgent)]
}

/**
 * Why a value is a dash, as a key of texts.js.
 * @param {Object} shown the object with readings, which may be the last ones of a GPU that has none now
 */
export function absence(shown) {
  return noteOf(shown)?.text ?? 'absent'
}
