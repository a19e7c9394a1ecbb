// Bands and alerts: which colour a reading has, and what is said about it. The limits are those of the recording rules
// (gpu:temperature:band, gpu:utilization:band, gpu:memory:band), so that panel, dashboards and alerts agree.

/** Colours of the four levels, the best first. */
export const COLOURS = { optimal: '#00ff88', normal: '#00d4ff', attention: '#ff9500', critical: '#ff3b30' }

// A band begins at `from` or, the last one of each, just above `above`: 80.0 °C is still attention. Names are keys of
// texts.js with 'band_' before them.
const BANDS = {
  temperature: [
    { name: 'optimal', level: 'optimal' },
    { name: 'normal', level: 'normal', from: 50 },
    { name: 'attention', level: 'attention', from: 70 },
    { name: 'critical', level: 'critical', above: 80 },
  ],
  utilization: [
    { name: 'low', level: 'optimal' },
    { name: 'normal', level: 'normal', from: 30 },
    { name: 'high', level: 'attention', from: 70 },
    { name: 'full', level: 'critical', above: 95 },
  ],
  memory_utilization: [
    { name: 'normal', level: 'optimal' },
    { name: 'high', level: 'attention', from: 70 },
    { name: 'nearly_full', level: 'critical', above: 90 },
  ],
}

// Limits at which a card slows down or stops. `target` is not one: a card works at its target for hours.
const HARD_LIMITS = ['max', 'critical', 'emergency', 'slowdown', 'shutdown']

// So near to its limit a sensor is in the band attention, as in the dashboards.
const MARGIN_CELSIUS = 10

// Throttle reasons that are heat: those of the alert GpuThermalThrottling.
const HEAT = ['thermal', 'hardware_thermal', 'prochot']

/**
 * The band of a reading.
 * @param {'temperature'|'utilization'|'memory_utilization'} quantity key of a GPU's `primary`
 * @param {?number} value
 * @returns {?{name: string, level: 'optimal'|'normal'|'attention'|'critical', colour: string}} null without a reading
 */
export function band(quantity, value) {
  if (!Number.isFinite(value)) return null
  const found = BANDS[quantity].findLast(({ from, above }) => !(value < from) && !(value <= above))
  return { name: found.name, level: found.level, colour: COLOURS[found.level] }
}

/**
 * The band of a sensor by the limits that the card tells for it, else by the bands of the temperature.
 * @param {?number} celsius
 * @param {Object<string, number>} [limits] `limits_celsius` of the sensor
 * @returns {?{name: string, level: string, colour: string}} null without a reading
 */
export function sensorBand(celsius, limits) {
  if (!Number.isFinite(celsius)) return null
  const limit = lowestLimit(limits)
  if (limit === null) return band('temperature', celsius)
  if (celsius > limit) return level('critical')
  if (celsius > limit - MARGIN_CELSIUS) return level('attention')
  return level(celsius < 50 ? 'optimal' : 'normal')
}

/**
 * The first limit that a sensor would meet.
 * @param {Object<string, number>} [limits] `limits_celsius` of the sensor
 * @returns {?number} null where the card tells none
 */
export function lowestLimit(limits) {
  const hard = HARD_LIMITS.map((name) => limits?.[name]).filter((limit) => Number.isFinite(limit) && limit > 0)
  return hard.length > 0 ? Math.min(...hard) : null
}

/**
 * The status as the old service told it.
 * @param {?number} temperature
 * @returns {?('healthy'|'warning')} null where the temperature is not known
 */
export function status(temperature) {
  if (!Number.isFinite(temperature)) return null
  return temperature < 85 ? 'healthy' : 'warning'
}

/**
 * What is to be said about the readings of a GPU: of the temperatures only the highest; the success where nothing else is
 * said, but never about a card whose temperature is not known. A sensor of no known limit may be made for its heat: that is
 * told, but is no warning.
 * @param {{primary: Object, sensors: Object, throttle: ?Array<string>}} gpu
 * @returns {Array<{severity: 'error'|'warning'|'info'|'success', text: string, value: string}>} `text` is a key of
 *   texts.js, `value` the reading for its {value}
 */
export function alerts({ primary: { temperature, utilization, memory_utilization }, sensors, throttle }) {
  const found = []
  const red = Object.values(sensors).filter((one) => sensorBand(one.celsius, one.limits_celsius)?.name === 'critical')
  const isLimited = (one) => lowestLimit(one.limits_celsius) !== null
  if (temperature > 90) found.push({ severity: 'error', text: 'alert_critical', value: temperature.toFixed(1) })
  else if (temperature > 80) found.push({ severity: 'warning', text: 'alert_hot', value: temperature.toFixed(1) })
  else if (red.some(isLimited)) found.push({ severity: 'warning', text: 'alert_sensor_limit', value: '' })
  else if (red.length > 0) found.push({ severity: 'info', text: 'alert_sensor_hot', value: '' })
  if (throttle?.some((reason) => HEAT.includes(reason))) found.push({ severity: 'info', text: 'alert_throttle', value: '' })
  if (memory_utilization > 90) found.push({ severity: 'warning', text: 'alert_memory', value: memory_utilization.toFixed(1) })
  if (utilization > 95) found.push({ severity: 'info', text: 'alert_load', value: utilization.toFixed(1) })
  if (found.length === 0 && Number.isFinite(temperature)) {
    found.push({ severity: 'success', text: 'alert_none', value: '' })
  }
  return found
}

/** Whether an alert is more than a remark. */
export function isUrgent({ severity }) {
  return severity === 'error' || severity === 'warning'
}

function level(name) {
  return { name, level: name, colour: COLOURS[name] }
}
