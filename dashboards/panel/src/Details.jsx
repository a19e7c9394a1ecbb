import Alert from '@mui/material/Alert'
import { alerts, band, COLOURS, lowestLimit, sensorBand, status } from './bands.js'
import { bytes, celsius, clockTime, DASH, energy, hertz, ratio, rpm, transfers, watts } from './format.js'
import { colors } from './look.js'
import { absence } from './notes.js'
import { stateColors } from './Overview.jsx'
import { Badge, Emoji, Heading, Row } from './parts.jsx'
import { fill, named } from './texts.js'

const alertLooks = {
  error: { color: COLOURS.critical, emoji: '🚨' },
  warning: { color: COLOURS.attention, emoji: '🔥' },
  info: { color: COLOURS.normal, emoji: '⚡' },
  success: { color: COLOURS.optimal, emoji: '✅' },
}

/** A message in a tinted box. It is no ARIA alert: that one is told once, when it is new. */
export function Message({ severity, emoji = alertLooks[severity].emoji, children }) {
  return (
    <Alert
      severity={severity}
      role="note"
      icon={<Emoji>{emoji}</Emoji>}
      className="gpu-stats-alert"
      style={{ '--gpu-stats-color': alertLooks[severity].color }}
    >
      {children}
    </Alert>
  )
}

/** The status as the old panel told it, and in its place the state of a GPU that gives no readings. */
function Status({ gpu, table }) {
  const word = gpu.state === 'ok' || gpu.state === 'partial' ? status(gpu.primary.temperature) : null
  const color = word === 'healthy' ? COLOURS.optimal : word === 'warning' ? COLOURS.attention : stateColors[gpu.state]
  const value = word ?? named(table, 'state', gpu.state)
  return <Badge color={color}>{fill(table.status, { value: value.toUpperCase() })}</Badge>
}

function Section({ emoji, title, children }) {
  return (
    <section className="gpu-stats-section">
      <Heading level="h4" emoji={emoji}>
        {title}
      </Heading>
      {children}
    </section>
  )
}

const limitsText = (limits = {}, form, table) =>
  Object.entries(limits)
    .map(([limit, value]) => `${named(table, 'limit', limit)} ${form(value)}`)
    .join(' · ')

/** What a GPU tells beyond its primary values, one section per kind; a kind without a reading has none. */
const kinds = [
  {
    key: 'sensors',
    emoji: '🌡️',
    entries: (gpu, table) =>
      Object.entries(gpu.sensors).map(([sensor, { celsius: value, limits_celsius: limits }]) => {
        const limit = lowestLimit(limits)
        return {
          name: named(table, 'sensor', sensor),
          text: celsius(value),
          color: sensorBand(value, limits)?.colour ?? colors.grey,
          share: limit !== null && value != null ? value / limit : null,
          note: limitsText(limits, celsius, table),
        }
      }),
    after: (gpu, table) =>
      gpu.margin_celsius !== null && <p>{fill(table.margin, { value: celsius(gpu.margin_celsius) })}</p>,
  },
  {
    key: 'power',
    emoji: '⚡',
    entries: (gpu, table) =>
      Object.entries(gpu.power).map(([domain, power]) => {
        const limit = power.limits_watts?.current ?? power.limits_watts?.max
        const more = [
          power.average_watts != null && fill(table.average, { value: watts(power.average_watts) }),
          power.limits_watts && `${table.limit}: ${limitsText(power.limits_watts, watts, table)}`,
          power.energy_joules != null && `${table.energy} ${energy(power.energy_joules)}`,
        ]
        return {
          name: named(table, 'domain', domain),
          text: watts(power.watts),
          color: colors.orange,
          share: limit > 0 && power.watts != null ? power.watts / limit : null,
          note: more.filter(Boolean).join(' · '),
        }
      }),
  },
  {
    key: 'fans',
    emoji: '🌀',
    entries: (gpu, table) =>
      gpu.fans.map((fan) => ({
        name: fill(table.fan_number, { value: fan.fan }),
        text: [fan.rpm != null && rpm(fan.rpm), fan.duty_ratio != null && ratio(fan.duty_ratio)].filter(Boolean).join(' · ') || DASH,
        share: fan.duty_ratio ?? (fan.max_rpm > 0 && fan.rpm != null ? fan.rpm / fan.max_rpm : null),
        note: [
          fan.target_rpm != null && fill(table.fan_target, { value: rpm(fan.target_rpm) }),
          limitsText(fan.max_rpm != null ? { max: fan.max_rpm } : {}, rpm, table),
        ]
          .filter(Boolean)
          .join(' · '),
      })),
  },
  {
    key: 'clocks',
    emoji: '⏱️',
    entries: (gpu, table) =>
      Object.entries(gpu.clocks).map(([clock, { hertz: value, limits_hertz: limits }]) => ({
        name: named(table, 'clock', clock),
        text: hertz(value),
        share: limits?.max > 0 && value != null ? value / limits.max : null,
        note: limitsText(limits, hertz, table),
      })),
  },
  {
    key: 'memories',
    emoji: '💾',
    entries: (gpu, table) =>
      Object.entries(gpu.memory).map(([memory, sizes]) => {
        const { used_bytes: used, total_bytes: total, reserved_bytes: reserved } = sizes
        const share = total > 0 && used != null ? used / total : null
        return {
          name: named(table, 'memory', memory),
          text: total == null ? bytes(used) : `${bytes(used)} / ${bytes(total)}`,
          color: (share !== null && band('memory_utilization', share * 100)?.colour) || colors.cyan,
          share,
          note: reserved != null ? fill(table.reserved, { value: bytes(reserved) }) : '',
        }
      }),
  },
  {
    key: 'pcie',
    emoji: '🔌',
    entries: ({ pcie }, table) =>
      pcie.width == null && pcie.transfers_per_second == null
        ? []
        : [
            {
              name: pcie.width == null ? '' : fill(table.pcie_lanes, { value: `×${pcie.width}` }),
              text: transfers(pcie.transfers_per_second),
              note:
                pcie.max_width == null && pcie.max_transfers_per_second == null
                  ? ''
                  : fill(table.pcie_of, {
                      value: [
                        pcie.max_width != null && `×${pcie.max_width}`,
                        pcie.max_transfers_per_second != null && transfers(pcie.max_transfers_per_second),
                      ]
                        .filter(Boolean)
                        .join(' · '),
                    }),
            },
          ],
  },
]

function Throttle({ reasons, table }) {
  if (reasons === null) return <p>{table.throttle_unknown}</p>
  if (reasons.length === 0) return <p>{table.throttle_none}</p>
  return (
    <div className="gpu-stats-chips">
      {reasons.map((reason) => (
        <Badge key={reason} color={COLOURS.attention}>
          {named(table, 'throttle', reason)}
        </Badge>
      ))}
    </div>
  )
}

/** Who the GPU is, in the words of the service: names that no language changes. */
const facts = [
  ['gpu', 'GPU'],
  ['uuid', 'UUID'],
  ['pci_id', 'PCI ID'],
  ['driver', 'Driver'],
  ['vbios', 'VBIOS'],
  ['source', 'Source'],
]

/**
 * The inside of the fold-out. `gpu` is the GPU as it is, `shown` the object with readings (the last ones, where it has
 * none now), `age` the age of these.
 */
export function Details({ gpu, shown, age, table }) {
  const known = facts.filter(([key]) => gpu[key])
  const said = alerts(gpu)
  return (
    <>
      <div className="gpu-stats-first">
        <Section emoji="🔧" title={table.system_status}>
          <div className="gpu-stats-chips">
            <Status gpu={gpu} table={table} />
          </div>
          <p>
            {fill(table.last_update, { value: clockTime(shown.timestamp) })} ({age})
          </p>
          <dl className="gpu-stats-facts">
            {known.map(([key, name]) => [<dt key={key}>{name}</dt>, <dd key={`${key} value`}>{gpu[key]}</dd>])}
          </dl>
        </Section>
        <Section emoji="⚠️" title={table.thermal_alerts}>
          {said.length === 0 && <p>{table[absence(gpu)]}</p>}
          <ul className="gpu-stats-alerts">
            {said.map(({ severity, text, value }) => (
              <li key={text}>
                <Message severity={severity}>{fill(table[text], { value })}</Message>
              </li>
            ))}
          </ul>
        </Section>
        {!gpu.legacy && (
          <Section emoji="🐢" title={table.throttle}>
            <Throttle reasons={shown.throttle} table={table} />
          </Section>
        )}
      </div>
      <div className="gpu-stats-columns">
        {kinds.map(({ key, emoji, entries, after }) => {
          const rows = entries(shown, table)
          const more = after?.(shown, table)
          if (rows.length === 0 && !more) return null
          return (
            <Section key={key} emoji={emoji} title={table[key]}>
              <ul className="gpu-stats-rows">
                {rows.map((row, i) => (
                  <Row key={`${i} ${row.name}`} {...row} />
                ))}
              </ul>
              {more}
            </Section>
          )
        })}
      </div>
    </>
  )
}
