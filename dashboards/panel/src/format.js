// Numbers and times as text. Decimal points throughout, no comma, whatever the language; what is not known is a dash.
import { fill, texts } from './texts.js'

/** Stands for what is not known. */
export const DASH = '—'

/** 41.2 -> '41.2%' */
export const percent = (value) => fixed(value, 1, '%')

/** 60.7 -> '60.7°C' */
export const celsius = (value) => fixed(value, 1, '°C')

/** 2011 -> '2011 MHz', as it comes */
export const megahertz = (value) => asItComes(value, ' MHz')

/** 2011000000 -> '2011 MHz' */
export const hertz = (value) => fixed(scaled(value, 1e6), 0, ' MHz')

/** 31.6 -> '32W' */
export const watts = (value) => fixed(value, 0, 'W')

/** 35 -> '35%', as it comes: the speed of a fan */
export const fanSpeed = (value) => asItComes(value, '%')

/** 0.349 -> '35%': a share of the whole */
export const ratio = (value) => fixed(scaled(value, 0.01), 0, '%')

/** 868.2 -> '868 RPM' */
export const rpm = (value) => fixed(value, 0, ' RPM')

/** MiB to text: 16384 -> '16.0 GB'. The old panel said GB and meant GiB; number and label stay. */
export const gigabytes = (mebibytes) => fixed(scaled(mebibytes, 1024), 1, ' GB')

/** Bytes to text: 1610612736 -> '1.5 GB', 104857600 -> '100 MB' (units of 1024, as in `gigabytes`) */
export function bytes(value) {
  return Math.abs(value) < 2 ** 30 ? fixed(scaled(value, 2 ** 20), 0, ' MB') : gigabytes(scaled(value, 2 ** 20))
}

/** Joules to text: 9000 -> '2.5 Wh', 7200000 -> '2.00 kWh' */
export function energy(joules) {
  return Math.abs(joules) < 3.6e6 ? fixed(scaled(joules, 3600), 1, ' Wh') : fixed(scaled(joules, 3.6e6), 2, ' kWh')
}

/** Transfers per second to text: 16e9 -> '16 GT/s', 2.5e9 -> '2.5 GT/s' */
export const transfers = (value) => asItComes(scaled(value, 1e9), ' GT/s')

/**
 * An age in words: 'il y a 3 s', '2 min ago'.
 * @param {?number} seconds
 * @param {string} locale of the panel
 */
export function age(seconds, locale) {
  if (!Number.isFinite(seconds)) return DASH
  const whole = Math.max(0, Math.floor(seconds))
  const [key, unit] = AGES.find(([, , below]) => whole < below)
  return fill(texts(locale)[key], { value: Math.floor(whole / unit) })
}

// Text, seconds of its unit, and the age from which the next one is used.
const AGES = [
  ['age_now', 1, 1],
  ['age_seconds', 1, 60],
  ['age_minutes', 60, 3600],
  ['age_hours', 3600, 86400],
  ['age_days', 86400, Infinity],
]

/**
 * A time of day in the browser's own form, with the date where it is not today's.
 * @param {?number} seconds Unix time
 * @param {number} [now] in milliseconds
 */
export function clockTime(seconds, now = Date.now()) {
  const date = new Date(Number.isFinite(seconds) ? seconds * 1000 : NaN)
  if (Number.isNaN(date.getTime())) return DASH
  const today = date.toDateString() === new Date(now).toDateString()
  return today ? date.toLocaleTimeString() : date.toLocaleString()
}

function scaled(value, unit) {
  return Number.isFinite(value) ? value / unit : null
}

function fixed(value, decimals, unit) {
  if (!Number.isFinite(value)) return DASH
  const rounded = Number(value.toFixed(decimals)) + 0 // + 0: no '-0.0'
  return rounded.toFixed(decimals) + unit
}

function asItComes(value, unit) {
  return Number.isFinite(value) ? `${value + 0}${unit}` : DASH
}
