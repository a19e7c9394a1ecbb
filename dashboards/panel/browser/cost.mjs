// What a panel costs a visitor's machine: processor, frames, memory; and what it animates.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { chromium } from 'playwright-core'
import { CHROMIUM, CHROMIUM_FLAGS, Exporter, closeFaultless, launch, oneCard, openPage, until, within, work } from './kit.mjs'

const second = 1000
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** A card that changes each second, so that there is something to draw. */
async function changingCard() {
  const tree = oneCard()
  const exporter = await Exporter.start(tree)
  let i = 0
  const timer = setInterval(() => tree.set('card1', 'gpu_busy_percent', String(30 + (i++ * 7) % 60)), second)
  return {
    exporter,
    end: async () => {
      clearInterval(timer)
      await exporter.stop()
    },
  }
}

const shown = (page) => page.getByText('CONNECTÉ', { exact: true }).first().waitFor()

/** Processes below and with that one, by /proc. */
function family(pid) {
  const parents = new Map()
  for (const name of readdirSync('/proc').filter((n) => /^\d+$/.test(n))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      parents.set(Number(name), { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) })
    } catch {
      // it has ended meanwhile
    }
  }
  const within = (p) => p === pid || (parents.has(p) && within(parents.get(p).parent))
  return [...parents].filter(([p]) => within(p)).map(([p, { ticks }]) => ({ pid: p, ticks }))
}

const HERTZ = 100 // of the ticks in /proc: USER_HZ, the same on all of Linux

/** Seconds of processor that all processes of a browser took within so many milliseconds. */
async function processorTime(pid, ms) {
  const ticks = () => new Map(family(pid).map((p) => [p.pid, p.ticks]))
  const before = ticks()
  await pause(ms)
  let sum = 0
  for (const [p, t] of ticks()) sum += t - (before.get(p) ?? 0)
  assert.ok(before.size >= 3, `only ${before.size} processes were found below ${pid}`)
  return sum / HERTZ
}

const PERCENT = 0.01
const percent = (share) => `${(share / PERCENT).toFixed(2)} %`

// The bound is 3 % of a core (panel.md 8), on a machine that is fast and quiet. On another one, or one whose caches are cold each
// second, all costs more: there the measure is a page with one word that changes each second, looked at in the same seconds.
const WORD = 'data:text/html,<p id="word"></p><script>let i = 0; setInterval(() => (word.textContent = i++), 1000)</script>'

/**
 * Measures three times, and judges the middle one: below 3 %, or below so many times the word.
 * @param {() => Promise<{share: number, word: number}>} measure
 */
async function below(what, times, measure) {
  const all = []
  for (let i = 0; i < 3; i++) all.push(await measure())
  const readings = all.map(({ share, word }) => ({ share, word, bound: Math.max(3 * PERCENT, times * word) }))
    .sort((a, b) => a.share / a.bound - b.share / b.bound)
  const said = readings.map(({ share, word, bound }) =>
    `${percent(share)} of ${percent(bound)} allowed (${(share / word).toFixed(2)} times the word's ${percent(word)})`).join(', ')
  console.log(`${what}: ${said}`)
  assert.ok(readings[1].share < readings[1].bound, `${what}: ${said}`)
}

test('processor, with animations', async () => {
  const { exporter, end } = await changingCard()
  const server = await chromium.launchServer({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS })
  const browser = await chromium.connect(server.wsEndpoint())
  try {
    const meter = async (url) => {
      const page = await openPage(browser, url, { reducedMotion: 'no-preference' })
      const cdp = await page.context().newCDPSession(page)
      await cdp.send('Performance.enable', { timeDomain: 'threadTicks' }) // of the processor, not of the clock on the wall
      const taken = async () => {
        const { metrics } = await cdp.send('Performance.getMetrics')
        const of = (name) => metrics.find((m) => m.name === name).value
        return of('ScriptDuration') + of('LayoutDuration') + of('RecalcStyleDuration')
      }
      return { page, taken }
    }
    const [moving, word] = [await meter(exporter.url), await meter(WORD)]
    await shown(moving.page)
    await until('something that moves', () => moving.page.evaluate(() => document.getAnimations().some((a) => a.playState === 'running')))
    const both = () => Promise.all([moving.taken(), word.taken()])
    // Some 20 times the word, which is 0.07 %.
    await below('main thread (script, style, layout), with animations', 40, async () => {
      const before = await both()
      await pause(10 * second)
      const after = await both()
      const [share, ofWord] = after.map((taken, i) => (taken - before[i]) / 10)
      return { share, word: ofWord }
    })
    await closeFaultless(word.page)
    const pid = server.process().pid
    const share = (await processorTime(pid, 10 * second)) / 10
    console.log(`all processes of Chromium, with animations, drawn in software: ${percent(share)} of a core`)
    await closeFaultless(moving.page)
  } finally {
    await browser.close()
    await server.close()
    await end()
  }
})

// Nobody but the browsers themselves is measured: Playwright would have them tell of each frame.
test('processor, with reduced motion', async () => {
  const { exporter, end } = await changingCard()
  const browsers = [1, 2].map(() => new Plain('--force-prefers-reduced-motion', '--window-size=1280,900', '--lang=fr-FR'))
  const open = async (browser, url, isReady) => {
    const page = await browser.open(url)
    await page.show()
    await until(`${url} ready`, () => page.value(isReady))
    assert.equal(await page.value("document.getAnimations().filter((a) => a.playState === 'running').length"), 0)
    await page.leave()
  }
  try {
    await open(browsers[0], exporter.url, "document.body.innerText.includes('CONNECT')")
    await open(browsers[1], WORD, "document.body.innerText !== ''")
    await pause(10 * second) // what opening them takes is over
    // Two to two and a half times the word, which is 1 %.
    await below('all processes of Chromium, with reduced motion', 4, async () => {
      const [share, word] = await Promise.all(browsers.map(async ({ process: { pid } }) => (await processorTime(pid, 15 * second)) / 15))
      return { share, word }
    })
  } finally {
    for (const browser of browsers) await browser.close()
    await end()
  }
})

const FORBIDDEN = /^(all|box-shadow|filter|backdrop-filter|-webkit-backdrop-filter|text-shadow|width|height|top|left|right|bottom|background-position.*)$/

test('only transform and opacity are animated, and nothing with reduced motion', async () => {
  const { exporter, end } = await changingCard()
  const browser = await launch()
  /** What the style sheets animate and what elements, and parts before and after them, have transitions for. */
  const animated = () => {
    const found = new Set()
    const keyframes = new Set()
    const walk = (rules) => {
      for (const rule of rules) {
        if (rule instanceof CSSKeyframesRule) {
          for (const frame of rule.cssRules) for (const property of frame.style) keyframes.add(`${rule.name}: ${property}`)
        } else if (rule.cssRules) {
          walk(rule.cssRules)
        }
      }
    }
    for (const sheet of document.styleSheets) walk(sheet.cssRules)
    for (const element of document.querySelectorAll('body, body *')) {
      for (const pseudo of [null, '::before', '::after']) {
        const { transitionProperty, transitionDuration } = getComputedStyle(element, pseudo)
        const durations = transitionDuration.split(', ')
        transitionProperty.split(', ').forEach((property, i) => {
          if (parseFloat(durations[i % durations.length]) > 0) found.add(`${element.getAttribute('class')}: ${property}`)
        })
      }
    }
    const running = document.getAnimations().filter((a) => a instanceof CSSAnimation && a.playState === 'running')
    for (const { effect, animationName } of running) {
      for (const frame of effect.getKeyframes()) {
        for (const property of Object.keys(frame)) {
          if (!['offset', 'computedOffset', 'easing', 'composite', 'transform', 'opacity'].includes(property)) {
            found.add(`running ${animationName}: ${property}`)
          }
        }
      }
    }
    return { keyframes: [...keyframes], found: [...found], running: running.length }
  }
  try {
    const page = await openPage(browser, exporter.url, { reducedMotion: 'no-preference' })
    await shown(page)
    await page.getByRole('button', { name: 'DÉTAILS & HISTORIQUE' }).click()
    const { keyframes, found, running } = await page.evaluate(animated)
    const forbidden = (text) => FORBIDDEN.test(text.split(': ').at(-1)) || text.startsWith('running')
    assert.ok(running > 0, 'nothing is animated')
    assert.ok(keyframes.length > 0)
    assert.deepEqual([...keyframes, ...found].filter(forbidden), [])
    const own = keyframes.filter((k) => k.startsWith('gpu-stats-'))
    assert.deepEqual(own.filter((k) => !/: (transform|opacity)$/.test(k)), [])
    // At most one layer with a blur behind it, and it stands still.
    const blurred = await page.evaluate(() => [...document.querySelectorAll('*')].flatMap((e) => [null, '::before', '::after']
      .filter((p) => getComputedStyle(e, p).backdropFilter !== 'none').map((p) => `${e.className} ${p}`)))
    assert.ok(blurred.length <= 1, `${blurred}`)
    console.log(`${keyframes.length} properties in key frames, ${running} animations run; blur behind: ${blurred.length}`)
    await closeFaultless(page)

    const still = await openPage(browser, exporter.url)
    await shown(still)
    await until('nothing runs', () => still.evaluate(() => document.getAnimations().filter((a) => a.playState === 'running').length), (n) => n === 0)
    assert.deepEqual(await still.evaluate(() => [...document.querySelectorAll('*')]
      .filter((e) => getComputedStyle(e).backdropFilter !== 'none').map((e) => e.className)), [])
    await closeFaultless(still)
  } finally {
    await browser.close()
    await end()
  }
})

/**
 * Chromium by its own protocol over pipes. Playwright keeps each page in focus, so that it never counts as hidden
 * (stack.md 7).
 */
class Plain {
  #next = 1
  #waiting = new Map()

  constructor(...flags) {
    const profile = mkdtempSync(join(work, 'profile-'))
    this.process = spawn(CHROMIUM, [...CHROMIUM_FLAGS, ...flags, '--headless=new', '--remote-debugging-pipe', `--user-data-dir=${profile}`, 'about:blank'],
      { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] })
    this.ended = new Promise((resolve) => this.process.on('exit', resolve))
    let rest = ''
    this.process.stdio[4].on('data', (chunk) => {
      const messages = (rest + chunk).split('\0')
      rest = messages.pop()
      for (const { id, result, error } of messages.map((m) => JSON.parse(m))) {
        const { resolve, reject } = this.#waiting.get(id) ?? {}
        this.#waiting.delete(id)
        if (error) reject?.(new Error(error.message))
        else resolve?.(result)
      }
    })
  }

  send(method, params = {}, sessionId) {
    const id = this.#next++
    this.process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`)
    return within(new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject })), () => `no answer to ${method}`)
  }

  async open(url) {
    const { targetId } = await this.send('Target.createTarget', { url, newWindow: false })
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true })
    const value = async (expression) =>
      (await this.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true }, sessionId)).result.value
    return {
      targetId,
      value,
      show: () => this.send('Target.activateTarget', { targetId }),
      leave: () => this.send('Target.detachFromTarget', { sessionId }), // it is a page like any other then
      close: () => this.send('Target.closeTarget', { targetId }),
    }
  }

  async close() {
    await this.send('Browser.close')
    await within(this.ended, () => 'Chromium does not end')
  }
}

test('in a hidden tab there is no frame and no animation, and none is missed', async () => {
  const { exporter, end } = await changingCard()
  const plain = new Plain()
  try {
    const panel = await plain.open(exporter.url)
    const running = () => panel.value("document.getAnimations().filter((a) => a.playState === 'running').length")
    await until('the panel', () => panel.value("document.body.innerText.includes('CONNECT')"))
    await panel.show()
    await until('something that moves', running, (n) => n > 0)
    const other = await plain.open('about:blank')
    await other.show()
    await until('the tab hidden', () => panel.value('document.visibilityState'), (state) => state === 'hidden')
    await until('nothing that moves', running, (n) => n === 0)
    await panel.value(`(() => {
      window.frames_ = 0
      window.drawn = 0
      requestAnimationFrame(function count() { window.frames_++; requestAnimationFrame(count) })
      for (const method of ['stroke', 'fill', 'fillRect', 'clearRect']) {
        const original = CanvasRenderingContext2D.prototype[method]
        CanvasRenderingContext2D.prototype[method] = function (...args) { window.drawn++; return original.apply(this, args) }
      }
      window.changes = 0
      new MutationObserver((list) => { window.changes += list.length })
        .observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true })
    })()`)
    await pause(5 * second)
    assert.equal(await panel.value('window.frames_'), 0, 'frames')
    assert.equal(await panel.value('window.drawn'), 0, 'strokes in the chart')
    assert.equal(await panel.value('window.changes'), 0, 'changes of the document')
    assert.equal(await exporter.sockets(), 1) // so that the chart has no hole
    await panel.show()
    await until('the tab visible', () => panel.value('document.visibilityState'), (state) => state === 'visible')
    await until('it goes on', () => panel.value('window.changes > 0 && window.drawn > 0'))
    await until('something that moves again', running, (n) => n > 0)
  } finally {
    await plain.close()
    await end()
  }
})

test('an hour of frames leaves the heap as it was', async () => {
  const { exporter, end } = await changingCard()
  const browser = await launch()
  try {
    const page = await openPage(browser, exporter.url)
    const body = await until('the card', () => exporter.json('/gpus'), (b) => b.gpus[0]?.primary.temperature != null)
    // The page's own socket is replaced by one that says what it is told, and its clock by one that can be put on.
    await page.addInitScript(() => {
      const now = Date.now.bind(Date)
      const skew = (window.skew = { ms: 0 })
      Date.now = () => now() + skew.ms
      window.WebSocket = class extends EventTarget {
        static CONNECTING = 0
        static OPEN = 1
        static CLOSING = 2
        static CLOSED = 3
        readyState = 0
        constructor(url) {
          super()
          Object.assign(this, { url })
          setTimeout(() => {
            this.readyState = 1
            this.say(new Event('open'))
            window.socket = this
          })
        }
        say(event) {
          this[`on${event.type}`]?.(event)
          this.dispatchEvent(event)
        }
        send() {}
        close() {
          if (this.readyState === 3) return
          this.readyState = 3
          this.say(new CloseEvent('close', { code: 1000 }))
        }
      }
    })
    await page.reload()
    await page.waitForFunction(() => window.socket)
    const cdp = await page.context().newCDPSession(page)
    await cdp.send('Performance.enable')
    const feed = (from, frames) => page.evaluate(async ({ body, from, frames }) => {
      for (let i = from; i < from + frames; i++) {
        window.skew.ms = i * 1000
        const time = body.timestamp + i
        const wave = (period) => Math.round((50 + 45 * Math.sin(i / period)) * 10) / 10
        const gpus = body.gpus.map((gpu) => ({ ...gpu, timestamp: time, age_seconds: 0, primary: { ...gpu.primary, temperature: wave(9),
          utilization: wave(5), memory_utilization: wave(13) } }))
        window.socket.say(new MessageEvent('message', { data: JSON.stringify({ type: 'gpus', data: { ...body, timestamp: time, gpus } }) }))
        await new Promise((resolve) => setTimeout(resolve, 4)) // each frame is rendered
      }
    }, { body, from, frames })
    const left = async () => {
      for (let i = 0; i < 3; i++) await cdp.send('HeapProfiler.collectGarbage')
      const { metrics } = await cdp.send('Performance.getMetrics')
      return Object.fromEntries(metrics.filter((m) => ['JSHeapUsedSize', 'Nodes', 'JSEventListeners'].includes(m.name)).map((m) => [m.name, m.value]))
    }
    await feed(1, 600) // by then the engine has compiled what it will
    const early = await left()
    await feed(601, 3000)
    const late = await left() // before Playwright looks into the page, since what it puts there for that stays
    assert.ok(await page.getByText('CONNECTÉ', { exact: true }).count(), 'the panel lost its socket')
    const grown = late.JSHeapUsedSize - early.JSHeapUsedSize
    console.log(`after 10 minutes ${JSON.stringify(early)}, after an hour ${JSON.stringify(late)}: ${(grown / 1024).toFixed(0)} KiB more`)
    // 3,000 frames that were kept, even without their sensors, would be more than 3 MB. What the engine itself goes on to compile
    // and cache is some hundred KiB.
    assert.ok(grown < 512 * 1024, `${grown} bytes more`)
    assert.ok(late.Nodes <= early.Nodes + 50 && late.JSEventListeners <= early.JSEventListeners + 5, `${JSON.stringify([early, late])}`)
    await closeFaultless(page)
  } finally {
    await browser.close()
    await end()
  }
})
