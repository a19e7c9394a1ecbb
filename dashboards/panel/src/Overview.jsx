import { memo, useEffect, useRef } from 'react'
import { band } from './bands.js'
import { celsius, percent } from './format.js'
import { colors } from './look.js'
import { named } from './texts.js'

/** Colour of each state of a GPU. */
export const stateColors = {
  ok: colors.green,
  partial: colors.orange,
  asleep: colors.cyan,
  hung: colors.red,
  gone: colors.red,
}

const minis = [
  { key: 'utilization', name: 'GPU', form: percent },
  { key: 'temperature', name: 'TEMP', form: celsius },
  { key: 'memory_utilization', name: 'VRAM', form: percent },
]

/** All GPUs of the host at a glance, to choose one from. `choose` gets the label of a GPU. */
export function Overview({ gpus, shown, choose, table }) {
  const list = useRef(null)
  useEffect(() => {
    const box = list.current
    // The chosen card into the middle, where it is out of view. Not by scrollIntoView, which would scroll the page as well.
    const centre = () => {
      const card = box.querySelector('[aria-pressed=true]')?.getBoundingClientRect()
      const view = box.getBoundingClientRect()
      const isSeen = !card || (card.left >= view.left && card.right <= view.right && card.top >= view.top && card.bottom <= view.bottom)
      if (isSeen) return
      box.scrollLeft += (card.left + card.right - view.left - view.right) / 2
      box.scrollTop += (card.top + card.bottom - view.top - view.bottom) / 2
    }
    centre()
    // The font may come late, and all cards before this one grow by it. From the user's first move the list is theirs.
    const leave = () => document.fonts?.removeEventListener('loadingdone', centre)
    const moves = ['wheel', 'pointerdown', 'focusin']
    document.fonts?.addEventListener('loadingdone', centre)
    for (const move of moves) box.addEventListener(move, leave, { passive: true })
    return () => {
      leave()
      for (const move of moves) box.removeEventListener(move, leave)
    }
  }, [shown])
  return (
    <div role="group" aria-label={table.choose_gpu}>
      <ul ref={list} className="gpu-stats-overview">
        {gpus.map((gpu) => (
          <li key={gpu.gpu}>
            <OverviewCard gpu={gpu} pressed={gpu.gpu === shown} choose={choose} table={table} />
          </li>
        ))}
      </ul>
    </div>
  )
}

const OverviewCard = memo(function OverviewCard({ gpu, pressed, choose, table }) {
  return (
    <button type="button" className="gpu-stats-card" aria-pressed={pressed} onClick={() => choose(gpu.gpu)} title={gpu.gpu}>
      <span className="gpu-stats-card-name">
        <span className="gpu-stats-index">#{gpu.index}</span>
        <b>{gpu.name ?? gpu.gpu}</b>
      </span>
      <span className="gpu-stats-card-state">
        <span
          className={`gpu-stats-state gpu-stats-state-${gpu.state}`}
          style={{ '--gpu-stats-color': stateColors[gpu.state] ?? colors.grey }}
        >
          {named(table, 'state', gpu.state)}
        </span>
        {gpu.simulated ? (
          <span className="gpu-stats-sim" title={table.simulated_explained}>
            SIM
          </span>
        ) : (
          <span className="gpu-stats-card-label">{gpu.gpu}</span>
        )}
      </span>
      <span className="gpu-stats-minis">
        {minis.map(({ key, name, form }) => {
          const value = gpu.primary[key]
          const style = {
            '--gpu-stats-color': band(key, value)?.colour ?? colors.grey,
            '--gpu-stats-share': Math.min(1, Math.max(0, (value ?? 0) / 100)),
          }
          return (
            <span key={key} className="gpu-stats-mini" style={style}>
              <small>{name}</small>
              {form(value)}
              <i />
            </span>
          )
        })}
      </span>
    </button>
  )
})
