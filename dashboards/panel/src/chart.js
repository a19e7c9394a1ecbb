/** The curves in the order in which they are drawn: the key of their readings and their colour. */
export const curves = [
  { key: 'utilization', color: '#00d4ff' },
  { key: 'temperature', color: '#ff9500' },
  { key: 'memory_utilization', color: '#00ff88' },
]

const label = 'rgba(170, 220, 235, 0.85)'
const line = 'rgba(0, 212, 255, 0.13)'
const levels = [0, 25, 50, 75, 100] // the odd ones are lines without a label
const seconds = [60, 45, 30, 15, 0]

// Strokes of a curve, width and opacity. Wide pale ones below the thin one are the glow: a shadow blur looks much the
// same and costs ten times as much without a GPU.
const glowing = [[12, 0.05], [8, 0.09], [5, 0.16], [2, 1]]
const old = [[2, 0.45]]

/** Where the curves lie within a canvas: what is left of it beside the labels. */
function plot(width, height) {
  const low = height < 120 // the compact form: less air
  return { left: 32, right: width - 10, top: low ? 8 : 12, bottom: height - (low ? 17 : 22), low }
}

/**
 * Draws what lies behind the curves and changes with the size alone. Not to be done each second: text on a canvas makes the
 * browser work out the styles of the page at once.
 *
 * @param {CanvasRenderingContext2D} context with lengths in CSS pixels
 * @param {number} width of the canvas in CSS pixels
 * @param {number} height of the canvas in CSS pixels
 */
export function drawGrid(context, width, height) {
  const area = plot(width, height)
  const background = context.createLinearGradient(0, 0, 0, height)
  background.addColorStop(0, 'rgba(0, 212, 255, 0.1)')
  background.addColorStop(0.5, 'rgba(0, 212, 255, 0.05)')
  background.addColorStop(1, 'rgba(0, 18, 32, 0.8)')
  context.fillStyle = background
  context.fillRect(0, 0, width, height)

  context.lineWidth = 1
  context.strokeStyle = line
  context.fillStyle = label
  context.font = '11px Inter, system-ui, sans-serif'
  context.beginPath()
  context.textAlign = 'right'
  context.textBaseline = 'middle'
  for (const level of levels) {
    // Half a pixel: a line of one pixel lies on one row of them and not across two.
    const y = Math.round(area.bottom - (level / 100) * (area.bottom - area.top)) + 0.5
    if (area.low && level % 50) continue
    context.moveTo(area.left, y)
    context.lineTo(area.right, y)
    if (level % 50 === 0) context.fillText(String(level), area.left - 6, y)
  }
  context.textBaseline = 'alphabetic'
  for (const second of seconds) {
    const x = Math.round(area.right - (second / 60) * (area.right - area.left)) + 0.5
    context.moveTo(x, area.top)
    context.lineTo(x, area.bottom)
    if (second % 30 && width < 300) continue // no room for its label
    context.textAlign = second === 0 ? 'right' : second === 60 ? 'left' : 'center'
    context.fillText(second === 0 ? '0 s' : `−${second} s`, second === 0 ? area.right + 4 : x, height - 5)
  }
  context.stroke()
}

function drawCurve(context, area, segments, color, stale) {
  const at = ({ x, value }) => [
    area.left + x * (area.right - area.left),
    area.bottom - (Math.min(100, Math.max(0, value)) / 100) * (area.bottom - area.top),
  ]
  context.strokeStyle = color
  context.fillStyle = color
  context.lineJoin = 'round'
  context.lineCap = 'round'
  context.beginPath()
  for (const segment of segments) {
    segment.forEach((point, i) => context[i ? 'lineTo' : 'moveTo'](...at(point)))
    // A reading between two gaps is a dot: a line to where it begins, with round ends.
    if (segment.length === 1) context.lineTo(...at(segment[0]))
  }
  for (const [width, alpha] of stale ? old : glowing) {
    context.lineWidth = area.low ? Math.max(2, width / 2) : width
    context.globalAlpha = alpha
    context.stroke()
  }
  context.globalAlpha = 1
  if (stale) return
  const last = segments.at(-1)?.at(-1)
  if (last) {
    context.beginPath()
    context.arc(...at(last), area.low ? 2 : 3, 0, 2 * Math.PI)
    context.fill()
  }
}

/**
 * Draws the curves of the last minute: right is now, the scale is 0 to 100 for all of them (percent and degrees Celsius).
 *
 * @param {CanvasRenderingContext2D} context with lengths in CSS pixels
 * @param {number} width of the canvas in CSS pixels
 * @param {number} height of the canvas in CSS pixels
 * @param {{segments: Object<string, {x: number, value: number}[][]>, stale: boolean}} data segments by the key of the
 *   curve, as history.js gives them; stale: they are old, and drawn pale and without a glow
 */
export function drawCurves(context, width, height, { segments, stale }) {
  const area = plot(width, height)
  for (const { key, color } of curves) drawCurve(context, area, segments[key] ?? [], color, stale)
}
