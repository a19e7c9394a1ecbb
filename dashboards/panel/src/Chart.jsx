import { memo, useEffect, useRef } from 'react'
import { curves, drawCurves, drawGrid } from './chart.js'
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
  const size = useRef(null) // as the observer tells it: to ask the canvas would make the browser lay all out at once
  const grid = useRef(null) // the picture of it; null: to be drawn
  const redraw = useRef(null)

  useEffect(() => {
    const pieces = Object.fromEntries(curves.map(({ key }) => [key, segments(history, key, now)]))
    redraw.current = () => paint(canvas.current, size.current, grid, { segments: pieces, stale })
    redraw.current()
  }, [history, now, stale])

  useEffect(() => {
    const afresh = () => {
      grid.current = null
      redraw.current()
    }
    const observer = new ResizeObserver(([{ contentRect }]) => {
      size.current = { width: Math.round(contentRect.width), height: Math.round(contentRect.height) }
      afresh()
    })
    observer.observe(canvas.current)
    document.fonts?.addEventListener('loadingdone', afresh) // that of the labels may come late
    return () => {
      observer.disconnect()
      document.fonts?.removeEventListener('loadingdone', afresh)
    }
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
function paint(canvas, size, grid, data) {
  // Before the observer's first call, or at a last one, while the panel is taken away.
  if (canvas === null || size === null) return
  const { width, height } = size
  const context = width > 0 && height > 0 ? canvas.getContext('2d') : null
  if (!context) return
  const scale = window.devicePixelRatio || 1
  if (fit(canvas, size, scale)) grid.current = null
  if (grid.current === null) {
    grid.current = document.createElement('canvas')
    fit(grid.current, size, scale)
    const below = grid.current.getContext('2d')
    below.setTransform(scale, 0, 0, scale, 0, 0)
    drawGrid(below, width, height)
  }
  context.setTransform(1, 0, 0, 1, 0, 0)
  context.clearRect(0, 0, canvas.width, canvas.height)
  context.drawImage(grid.current, 0, 0)
  context.setTransform(scale, 0, 0, scale, 0, 0)
  drawCurves(context, width, height, data)
}

/** Gives a canvas the screen's resolution. Whether it had another one, and so is empty now. */
function fit(canvas, { width, height }, scale) {
  const pixels = [Math.round(width * scale), Math.round(height * scale)]
  if (canvas.width === pixels[0] && canvas.height === pixels[1]) return false
  ;[canvas.width, canvas.height] = pixels
  return true
}
