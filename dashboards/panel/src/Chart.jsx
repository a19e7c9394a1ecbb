import { memo, useEffect, useRef } from 'react'
import { curves, draw } from './chart.js'
import { celsius, percent } from './format.js'
import { segments } from './history.js'
import { fill } from './texts.js'

const forms = { utilization: percent, temperature: celsius, memory_utilization: percent }

/**
 * The curves of the last minute. They are drawn when there are new data or the size changes, and at no other time.
 * `now` is the service's clock; `last` holds the values of the legend.
 */
export const Chart = memo(function Chart({ history, now, last, stale, table }) {
  const canvas = useRef(null)
  const redraw = useRef(null)

  useEffect(() => {
    const pieces = Object.fromEntries(curves.map(({ key }) => [key, segments(history, key, now)]))
    redraw.current = () => paint(canvas.current, { segments: pieces, stale })
    redraw.current()
  }, [history, now, stale])

  useEffect(() => {
    const observer = new ResizeObserver(() => redraw.current())
    observer.observe(canvas.current)
    return () => observer.disconnect()
  }, [])

  const values = Object.fromEntries(curves.map(({ key }) => [key, forms[key](last[key])]))
  const summary = history.length > 0 ? fill(table.chart_summary, values) : table.chart_empty
  return (
    <>
      <ul className="gpu-stats-legend">
        {curves.map(({ key, color }) => (
          <li key={key} style={{ '--gpu-stats-color': color, '--gpu-stats-curve': color }}>
            {fill(table[`legend_${key}`], { value: values[key] })}
          </li>
        ))}
      </ul>
      <div className="gpu-stats-chart">
        <canvas ref={canvas} role="img" aria-label={summary} />
      </div>
    </>
  )
})

/** Draws at the screen's own resolution, which may have changed with the zoom or the screen. */
function paint(canvas, data) {
  if (canvas === null) return // a last call of the observer, while the panel is taken away
  const { clientWidth: width, clientHeight: height } = canvas
  const context = width > 0 && height > 0 ? canvas.getContext('2d') : null
  if (!context) return
  const scale = window.devicePixelRatio || 1
  const size = [Math.round(width * scale), Math.round(height * scale)]
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size
  context.setTransform(scale, 0, 0, scale, 0, 0)
  draw(context, width, height, data)
}
