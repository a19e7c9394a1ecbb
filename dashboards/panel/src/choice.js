import { hasReadings } from './frames.js'

/**
 * The GPU that a name means, as the service understands ?gpu=: its label or uuid without regard to letter case, or its
 * index, tried in this order.
 * @param {Array<Object>} gpus
 * @param {?(string|number)} name
 * @returns {?Object} null where there is none
 */
export function find(gpus, name) {
  const wanted = String(name ?? '').toLowerCase()
  if (wanted === '') return null
  const by = (key) => gpus.find((gpu) => String(gpu[key] ?? '').toLowerCase() === wanted)
  return by('gpu') ?? by('uuid') ?? by('index') ?? null
}

/**
 * The GPU to show: the user's choice, else the one that the application wants, else the one shown before as long as
 * there is something to show of it (a card that falls asleep does not make the panel jump to another), else the first
 * that can be read, else the first.
 * @param {Array<Object>} gpus
 * @param {{chosen: ?string, wanted: ?(string|number), before: ?string}} names
 * @returns {?Object} null without any GPU
 */
export function choose(gpus, { chosen, wanted, before }) {
  const same = (label) => gpus.find((gpu) => gpu.gpu === label)
  const previous = same(before)
  return (
    same(chosen) ??
    find(gpus, wanted) ??
    (previous && (hasReadings(previous) || previous.kept) ? previous : null) ??
    gpus.find((gpu) => gpu.state === 'ok' || gpu.state === 'partial') ??
    gpus.find((gpu) => gpu.index === 0) ??
    gpus[0] ??
    null
  )
}
