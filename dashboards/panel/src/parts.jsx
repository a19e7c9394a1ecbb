// Small parts that the others are made of.
import { memo } from 'react'
import Chip from '@mui/material/Chip'
import { DASH } from './format.js'
import { colors } from './look.js'

/** An emoji in front of a text, which readers leave out. */
export function Emoji({ children }) {
  return (
    <span className="gpu-stats-emoji" aria-hidden="true">
      {children}
    </span>
  )
}

/** The heading of a paper or, as h4, of a part of it. */
export const Heading = memo(function Heading({ emoji, children, level: Level = 'h3', orbitron = false }) {
  const subheading = `gpu-stats-subheading ${orbitron ? 'gpu-stats-orbitron' : ''}`
  return (
    <Level className={Level === 'h4' ? subheading : 'gpu-stats-heading'}>
      <Emoji>{emoji}</Emoji>
      {children}
    </Level>
  )
})

/** A chip in one of the panel's colours. */
export const Badge = memo(function Badge({ color, children, ...props }) {
  return (
    <Chip
      className="gpu-stats-chip"
      size="small"
      style={{ '--gpu-stats-color': color }}
      label={<span className="gpu-stats-chip-text">{children}</span>}
      {...props}
    />
  )
})

/** A dash that says why there is no value. */
export function Absent({ reason }) {
  return (
    <span title={reason}>
      <span aria-hidden="true">{DASH}</span>
      <span className="gpu-stats-hidden-text">{reason}</span>
    </span>
  )
}

/** A share, held within 0 and 1. */
export const within = (share) => Math.min(1, Math.max(0, share))

/** A glowing bar from 0 to 100 with its name and value above it. `word` says in words what the colour says. */
export const Bar = memo(function Bar({ emoji, label, value, text, color, word, absent }) {
  const known = value !== null
  const share = within((value ?? 0) / 100)
  const meter = known && {
    role: 'meter',
    'aria-label': label,
    'aria-valuemin': 0,
    'aria-valuemax': 100,
    'aria-valuenow': share * 100,
    'aria-valuetext': word ? `${text}, ${word}` : text,
  }
  return (
    <div style={{ '--gpu-stats-color': known ? color : colors.grey }}>
      <div className="gpu-stats-label">
        <span>
          <Emoji>{emoji}</Emoji>
          {label}
        </span>
        <b title={word}>{known ? text : <Absent reason={absent} />}</b>
      </div>
      <div className="gpu-stats-track" {...meter}>
        {known && (
          <>
            <div className="gpu-stats-fill" style={{ transform: `scaleX(${share})` }} />
            <div className="gpu-stats-light" />
            <div className="gpu-stats-tip" style={{ transform: `translateX(${share * 100}%)` }} />
          </>
        )}
      </div>
    </div>
  )
})

/** A number with its name below it. `remark` is told by its title. */
export const Tile = memo(function Tile({ label, value, text, color, absent, remark }) {
  const known = value !== null
  return (
    <div className="gpu-stats-tile" style={{ '--gpu-stats-color': known ? color : colors.grey }} title={remark}>
      <dt>{label}</dt>
      <dd>{known ? text : <Absent reason={absent} />}</dd>
    </div>
  )
})

/** A row of the details: name, value, a thin bar where there is a share of something, and more in small letters. */
export const Row = memo(function Row({ name, text, color = colors.cyan, share = null, note }) {
  return (
    <li className="gpu-stats-row" style={{ '--gpu-stats-color': color }}>
      <span>{name}</span>
      <b>{text}</b>
      {share !== null && (
        <div
          className="gpu-stats-thin"
          style={{ '--gpu-stats-share': within(share) }}
          role="meter"
          aria-label={name}
          aria-valuemin={0}
          aria-valuemax={100}
          aria-valuenow={Math.round(within(share) * 100)}
          aria-valuetext={note ? `${text}, ${note}` : text}
        />
      )}
      {note && <small>{note}</small>}
    </li>
  )
})
