import { memo, useCallback, useEffect, useId, useMemo, useRef, useState, useSyncExternalStore } from 'react'
import Accordion from '@mui/material/Accordion'
import AccordionDetails from '@mui/material/AccordionDetails'
import AccordionSummary from '@mui/material/AccordionSummary'
import Card from '@mui/material/Card'
import CardContent from '@mui/material/CardContent'
import CircularProgress from '@mui/material/CircularProgress'
import GlobalStyles from '@mui/material/GlobalStyles'
import Typography from '@mui/material/Typography'
import ExpandMoreIcon from '@mui/icons-material/ExpandMore'
import MemoryIcon from '@mui/icons-material/Memory'
import VisibilityIcon from '@mui/icons-material/Visibility'
import { alerts, band, COLOURS, isUrgent } from './bands.js'
import { Chart } from './Chart.jsx'
import { choose, find } from './choice.js'
import { Details, Message } from './Details.jsx'
import { feedOf } from './feed.js'
import { age, celsius, fanSpeed, gigabytes, megahertz, percent, watts } from './format.js'
import { hasReadings, readingAge, serviceNow } from './frames.js'
import { newHistory } from './history.js'
import { colors, look } from './look.js'
import { absence, noteOf, warnings } from './notes.js'
import { Overview } from './Overview.jsx'
import { Absent, Badge, Bar, Emoji, Heading, Tile, within } from './parts.jsx'
import { fill, language, named, texts } from './texts.js'

const styles = <GlobalStyles styles={look} />
const nothingYet = newHistory()

const bars = [
  { key: 'utilization', emoji: '🔥', form: percent },
  { key: 'temperature', emoji: '🌡️', form: celsius },
  { key: 'memory_utilization', emoji: '🧠', form: percent },
]

const tiles = [
  { key: 'core_clock', form: megahertz, color: colors.cyan },
  { key: 'memory_clock', form: megahertz, color: colors.green },
  { key: 'power_usage', form: watts, color: colors.orange },
  { key: 'fan_speed', form: fanSpeed, color: colors.cyan },
]

/**
 * The holographic GPU panel.
 *
 * @param {Object} props all optional
 * @param {string} props.className added to the card; `compact-gpu-stats` makes the compact form
 * @param {string} props.baseUrl of the exporter; without it port 5009 of the page's host
 * @param {string|number} props.gpu label, uuid or index of the GPU to show
 * @param {string} props.locale French unless it begins with `en`
 */
export default function GPUStats({ baseUrl, ...props }) {
  const feed = useMemo(() => feedOf(baseUrl), [baseUrl])
  // Of another service nothing is kept: no choice, no error.
  return <Panel key={feed.base} feed={feed} baseUrl={baseUrl} {...props} />
}

/**
 * The frame around the content. It is not rendered with each frame of the feed, nor are Material UI's components anywhere:
 * Emotion works out their styles anew at each rendering, which costs more than all else together.
 */
function Panel({ feed, className = '', baseUrl, gpu, locale = 'fr' }) {
  const table = texts(locale)
  const connected = useFeed(feed, isConnected)
  const error = errorText(useLastingError(useFeed(feed, errorOf), connected), baseUrl, table)
  const hidden = useHidden()
  const description = useId()
  return (
    <Card
      component="section"
      lang={language(locale)}
      className={`gpu-stats-root ${hidden ? 'gpu-stats-hidden' : ''} ${className}`}
      aria-label={table.region}
      aria-describedby={description}
    >
      {styles}
      <div className="gpu-stats-glow" />
      <CardContent className="gpu-stats-content">
        <div className="gpu-stats-body">
          <Head connected={connected} error={error} table={table} />
          <span id={description} hidden>
            {table.region_description}
          </span>
          <Content {...{ feed, connected, error, wanted: gpu, hidden, table, locale }} />
        </div>
      </CardContent>
      <Field />
    </Card>
  )
}

/** What moves over the panel: the scan band and particles. */
const Field = memo(function Field() {
  const particles = [7, 23, 41, 58, 76, 92]
  return (
    <div className="gpu-stats-field" aria-hidden="true">
      <div className="gpu-stats-scan" />
      {particles.map((left, i) => (
        // A delay before the beginning: all are under way at once, and no two alike.
        <div key={left} className="gpu-stats-particle" style={{ left: `${left}%`, animationDelay: `${-5 * i}s` }} />
      ))}
    </div>
  )
})

/** Title and connection. `error` is told here to readers, once, and shown below. */
const Head = memo(function Head({ connected, error, table }) {
  return (
    <div className="gpu-stats-head">
      <Typography variant="h5" component="h2" className="gpu-stats-title">
        <MemoryIcon />
        <span className="gpu-stats-word">
          <Emoji>🎮</Emoji>
          {table.title}
          <span className="gpu-stats-halo" aria-hidden="true">
            <span className="gpu-stats-emoji">🎮</span>
            {table.title}
          </span>
        </span>
      </Typography>
      <div role="status">
        <Badge
          color={connected ? colors.green : colors.orange}
          icon={
            connected ? (
              <VisibilityIcon />
            ) : (
              <CircularProgress size={14} disableShrink aria-hidden="true" className="gpu-stats-spinner" />
            )
          }
        >
          {connected ? table.connected : table.connecting}
        </Badge>
        {error && <span className="gpu-stats-hidden-text">{error}</span>}
      </div>
    </div>
  )
})

/** All that changes with the readings: rendered with each frame of the feed. */
function Content({ feed, connected, error, wanted, hidden, table, locale }) {
  const snapshot = useFeed(feed, whole)
  const [chosen, setChosen] = useState(null)
  const [unfolded, unfold] = useState(false)
  const before = useRef(null)

  const gpu = choose(snapshot.gpus, { chosen, wanted, before: before.current })
  const label = gpu?.gpu
  useEffect(() => {
    if (label === undefined) return
    before.current = label
    feed.preload(label)
  }, [feed, label])

  const newAlert = useNewAlert(gpu, table)
  if (gpu === null) return <Nothing received={snapshot.received} error={error} table={table} />

  const lost = !connected || error !== null
  const shown = hasReadings(gpu) ? gpu : (gpu.kept ?? gpu)
  const stale = lost || shown !== gpu
  const ageNow = <Age gpu={shown} snapshot={snapshot} hidden={hidden} locale={locale} />
  const note = noteOf(gpu)
  const absent = table[absence(shown)]
  return (
    <>
      <div role="alert" className="gpu-stats-hidden-text">
        {newAlert}
      </div>
      {lost && (
        <Message severity={error ? 'error' : 'warning'} emoji={error ? '🚨' : '📡'}>
          {error ?? table.waiting}
          <small>{fillNode(table.old_values, ageNow)}</small>
        </Message>
      )}
      {wanted != null && wanted !== '' && find(snapshot.gpus, wanted) === null && (
        <Message severity="warning" emoji="⚠️">
          {fill(table.gpu_not_found, { value: wanted })}
        </Message>
      )}
      {gpu.simulated && (
        <div className="gpu-stats-simulated">
          <strong>{table.simulated}</strong>
          <span>{table.simulated_explained}</span>
        </div>
      )}
      {snapshot.gpus.length > 1 && (
        <div className={lost ? 'gpu-stats-stale' : undefined}>
          <Overview gpus={snapshot.gpus} shown={gpu.gpu} choose={setChosen} table={table} />
        </div>
      )}
      {note && (
        <Message severity={note.severity} emoji={note.emoji}>
          {table[note.text]}
          <small>{lastReading(gpu, shown, ageNow, table)}</small>
        </Message>
      )}
      <div className={`gpu-stats-grid ${stale ? 'gpu-stats-stale' : ''}`}>
        <Statistics gpu={gpu} shown={shown} absent={absent} table={table} />
        <div className="gpu-stats-paper">
          <Heading emoji="📈">{table.chart}</Heading>
          <Chart
            history={snapshot.histories.get(gpu.gpu) ?? nothingYet}
            now={serviceNow(snapshot, snapshot.received)}
            last={shown.primary}
            stale={stale}
            table={table}
          />
          <VideoMemory used={shown.primary.memory_used} total={shown.primary.memory_total} absent={absent} table={table} />
        </div>
      </div>
      <FoldOut open={unfolded} setOpen={unfold} stale={stale} table={table}>
        {unfolded && <Details gpu={gpu} shown={shown} age={ageNow} table={table} />}
      </FoldOut>
    </>
  )
}

/** When a GPU was read last, where it is not read now. The time of a sleeping one is that of the last look at it. */
function lastReading(gpu, shown, ageNow, table) {
  if (shown !== gpu) return fillNode(table.old_values, ageNow)
  if (gpu.timestamp === null) return table.never_read
  return gpu.state === 'asleep' || (gpu.up && hasReadings(gpu)) ? null : fillNode(table.last_reading, ageNow)
}

/** Shown while there is no GPU to tell of: the error card, that there is none, or that the first word is awaited. */
function Nothing({ received, error, table }) {
  if (error) {
    return (
      <Message severity="error" emoji="🚨">
        {error}
      </Message>
    )
  }
  if (received !== null) {
    return (
      <div className="gpu-stats-empty">
        <strong>
          <Emoji>🔍</Emoji>
          {table.no_gpu}
        </strong>
        <p>
          {table.no_gpu_hint} <code>gpu_exporter doctor</code>
        </p>
      </div>
    )
  }
  return (
    <div className="gpu-stats-waiting">
      <CircularProgress color="inherit" disableShrink aria-hidden="true" className="gpu-stats-spinner" />
      <span>
        <Emoji>📡</Emoji>
        {table.waiting}
      </span>
    </div>
  )
}

/** Name, chips for what needs a look, the three bars and the four tiles. */
function Statistics({ gpu, shown, absent, table }) {
  const { primary } = shown
  const urgent = alerts(gpu).filter(isUrgent)
  const throttle = gpu.throttle ?? []
  const driver = gpu.driver_version ?? gpu.driver
  return (
    <div className="gpu-stats-paper">
      <Heading emoji="📊">{table.statistics}</Heading>
      <div className="gpu-stats-name">
        {gpu.name ?? gpu.gpu}
        {driver && <small>{fill(table.driver, { value: driver })}</small>}
      </div>
      {urgent.length + throttle.length > 0 && (
        <div className="gpu-stats-chips">
          {urgent.map((alert) => (
            <Badge key={alert.text} color={alert.severity === 'error' ? COLOURS.critical : COLOURS.attention}>
              {fill(table[alert.text], alert)}
            </Badge>
          ))}
          {throttle.map((reason) => (
            <Badge key={reason} color={COLOURS.attention}>
              {`${table.throttle}: ${named(table, 'throttle', reason)}`}
            </Badge>
          ))}
        </div>
      )}
      <div className="gpu-stats-bars">
        {bars.map(({ key, emoji, form }) => {
          const found = band(key, primary[key])
          return (
            <Bar
              key={key}
              emoji={emoji}
              label={table[key]}
              value={primary[key]}
              text={form(primary[key])}
              color={found?.colour}
              word={found ? named(table, 'band', found.name) : undefined}
              absent={absent}
            />
          )
        })}
      </div>
      <dl className="gpu-stats-tiles">
        {tiles.map(({ key, form, color }) => (
          <Tile
            key={key}
            label={table[key]}
            value={primary[key]}
            text={form(primary[key])}
            color={color}
            absent={absent}
            remark={gpu.legacy && primary[key] === 0 ? table.zero_may_be_absent : undefined}
          />
        ))}
      </dl>
    </div>
  )
}

/** The memory in use, in GB, with a thin bar. */
const VideoMemory = memo(function VideoMemory({ used, total, absent, table }) {
  const told = (value) => (value === null ? <Absent reason={absent} /> : gigabytes(value))
  return (
    <div className="gpu-stats-memory" style={{ '--gpu-stats-color': colors.green }}>
      <Heading level="h4" emoji="💾" orbitron>
        {table.video_memory}
      </Heading>
      <div className="gpu-stats-pair">
        <span className="gpu-stats-used">{fillNode(table.used, told(used))}</span>
        <span>{fillNode(table.total, told(total))}</span>
      </div>
      {used !== null && total > 0 && (
        <div
          className="gpu-stats-linear"
          style={{ '--gpu-stats-share': within(used / total) }}
          role="progressbar"
          aria-label={table.video_memory}
          aria-valuemin={0}
          aria-valuemax={100}
          aria-valuenow={Math.round(within(used / total) * 100)}
          aria-valuetext={`${gigabytes(used)} / ${gigabytes(total)}`}
        />
      )}
    </div>
  )
})

/** The fold-out. While it is closed it has no children, and costs nothing. */
const FoldOut = memo(function FoldOut({ open, setOpen, stale, table, children }) {
  const id = useId()
  return (
    <Accordion
      className={`gpu-stats-fold ${stale ? 'gpu-stats-stale' : ''}`}
      disableGutters
      expanded={open}
      onChange={(event, expanded) => setOpen(expanded)}
    >
      <AccordionSummary expandIcon={<ExpandMoreIcon />} id={`${id}head`} aria-controls={`${id}content`}>
        <Typography variant="h6" component="span" className="gpu-stats-heading">
          <Emoji>📋</Emoji>
          {table.details}
        </Typography>
      </AccordionSummary>
      <AccordionDetails className="gpu-stats-details">{children}</AccordionDetails>
    </Accordion>
  )
})

/** The age of a GPU's reading in words, which goes on when nothing comes any more. */
function Age({ gpu, snapshot, hidden, locale }) {
  const [, tick] = useState(0)
  useEffect(() => {
    if (hidden) return undefined
    const timer = setInterval(() => tick((count) => count + 1), 1000)
    return () => clearInterval(timer)
  }, [hidden])
  return age(readingAge(gpu, snapshot), locale)
}

const nothingTold = { label: null, message: '' }

/**
 * The text for the one element whose role is alert: a warning is told when it comes and not each second, nor when it
 * comes back within a minute because the value swings about its limit.
 */
function useNewAlert(gpu, table) {
  const [told, setTold] = useState(nothingTold)
  const seen = useRef(new Map()) // when each warning of each GPU was there last
  useEffect(() => {
    const now = Date.now()
    const urgent = gpu ? warnings(gpu) : []
    const keyOf = ({ text }) => `${gpu.gpu} ${text}`
    const fresh = urgent.filter((alert) => !(now - seen.current.get(keyOf(alert)) < 60_000))
    for (const alert of urgent) seen.current.set(keyOf(alert), now)
    const message = fresh.map((alert) => fill(table[alert.text], alert)).join(' ')
    if (fresh.length > 0) setTold({ label: gpu.gpu, message })
    else if (urgent.length === 0) setTold(nothingTold)
  }, [gpu, table])
  return told.label === gpu?.gpu ? told.message : '' // of the GPU shown before nothing is said any more
}

const whole = (snapshot) => snapshot
const isConnected = ({ connection }) => connection === 'open'
const errorOf = ({ error }) => error

/** A part of the feed's snapshot. Who asks for one is rendered only when this part changes. */
function useFeed(feed, part) {
  const get = useCallback(() => part(feed.getSnapshot()), [feed, part])
  return useSyncExternalStore(feed.subscribe, get, get)
}

/** The error until the service is there again: each new try begins without one, and the panel would flicker. */
function useLastingError(error, connected) {
  const [kept, keep] = useState(null)
  const lasting = connected ? error : (error ?? kept)
  if (lasting !== kept) keep(lasting)
  return lasting
}

/** Whether the page is hidden: then nothing moves. */
function useHidden() {
  const subscribe = useCallback((listener) => {
    document.addEventListener('visibilitychange', listener)
    return () => document.removeEventListener('visibilitychange', listener)
  }, [])
  return useSyncExternalStore(subscribe, () => document.hidden, () => false)
}

function errorText(error, baseUrl, table) {
  return error === null ? null : fill(table[`error_${error}`], { value: baseUrl ?? '' })
}

/** As `fill`, with an element in the place. */
function fillNode(text, node) {
  const [head, tail] = text.split('{value}')
  return (
    <>
      {head}
      {node}
      {tail}
    </>
  )
}
