// What the tests in a browser stand on: the real binary on a copy of a hardware case, Debian's Chromium, pictures.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, openSync, readFileSync, closeSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, extname, join, normalize } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

/** How long a test waits for a condition before it says that it will not come. */
export const PATIENCE = 30_000

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '../../..')
const cases = join(root, '../shared/fixtures/amd')

export const work = mkdtempSync(join(tmpdir(), 'panel-'))
process.on('exit', () => rmSync(work, { recursive: true, force: true }))

/** The exporter, built once: .ci/panel names the one that it has built. */
const binary = process.env.PANEL_BINARY ?? build()

function build() {
  const to = join(work, 'gpu_exporter')
  execFileSync('go', ['build', '-o', to, '.'], { cwd: root, stdio: 'inherit' })
  return to
}

/** A copy of a hardware case that may be changed. */
export class Tree {
  constructor(name) {
    this.folder = mkdtempSync(join(work, 'tree-'))
    cpSync(join(cases, name), this.folder, { recursive: true })
    execFileSync('chmod', ['-R', 'u+w', this.folder]) // a copy is as read-only as the case
  }

  /** The path of a file of a card, or of its folder: card('card1', 'gpu_busy_percent'). */
  card(card, file = '') {
    return join(this.folder, 'sys/class/drm', card, file && 'device', file)
  }

  /** Lays a file out before the exporter runs, with room for longer words later. */
  prepare(card, file, text) {
    writeFileSync(this.card(card, file), text.padEnd(12) + '\n')
  }

  /** Changes a file in place, as a driver does: the exporter keeps it open. */
  set(card, file, text) {
    const path = this.card(card, file)
    const size = readFileSync(path).length
    assert.ok(text.length <= size, `${text} has no room in ${path}`)
    const f = openSync(path, 'r+')
    writeSync(f, text.padEnd(size), 0)
    closeSync(f)
  }

  /** Takes a card out of the machine. */
  takeAway(card) {
    renameSync(this.card(card), join(this.folder, `${card}-taken-away`))
  }
}

/** A tree with one RX 7800 XT, card1 of it, whose readings can be set. */
export function oneCard() {
  const tree = new Tree('rx7800xt')
  for (const [file, text] of [
    ['hwmon/hwmon4/temp1_input', '24000'], ['hwmon/hwmon4/temp3_input', '48000'], ['gpu_busy_percent', '2'], ['mem_info_vram_used', '1610612736'],
    ['power/runtime_status', 'active'],
  ]) tree.prepare('card1', file, text)
  return tree
}

/** A tree with two GPUs: an RX 7600S, card1, and an APU, card2. */
export function twoCards() {
  const tree = new Tree('multi-gpu')
  tree.prepare('card1', 'power/runtime_status', 'active')
  tree.prepare('card1', 'gpu_busy_percent', '31')
  return tree
}

const QUICKLY = ['--rescan.interval=200ms']

/** The real binary on a free port of loopback, or on the one that it had before. */
export class Exporter {
  /** @param {?Tree} tree null: a machine without GPUs */
  static start(tree, ...flags) {
    return Exporter.startAt('127.0.0.1:0', tree, ...flags)
  }

  static async startAt(address, tree, ...flags) {
    const exporter = new Exporter()
    const folder = tree?.folder ?? mkdtempSync(join(work, 'tree-'))
    exporter.args = ['--path.sysfs', join(folder, 'sys'), '--path.procfs', join(folder, 'proc'), '--history.store=memory',
      ...QUICKLY, ...flags]
    await exporter.listen(address)
    return exporter
  }

  async listen(address) {
    this.log = ''
    this.process = spawn(binary, [`--web.listen-address=${address}`, ...this.args], { stdio: ['ignore', 'ignore', 'pipe'] })
    this.ended = new Promise((resolve) => this.process.on('exit', resolve))
    const lines = createInterface({ input: this.process.stderr })
    const listening = new Promise((resolve) => lines.on('line', (line) => {
      this.log += `${line}\n`
      const [, found] = /msg=listening address=(\S+)/.exec(line) ?? []
      if (found) resolve(found)
    }))
    this.address = await within(Promise.race([listening, this.ended]), () => `the exporter does not listen:\n${this.log}`)
    assert.match(String(this.address), /^127/, `the exporter ended:\n${this.log}`)
    this.url = `http://${this.address}`
  }

  async stop() {
    this.process.kill('SIGTERM')
    await within(this.ended, () => `the exporter does not end:\n${this.log}`)
  }

  again() {
    return this.listen(this.address)
  }

  async json(path) {
    const answer = await fetch(this.url + path)
    assert.equal(answer.status, 200, path)
    return answer.json()
  }

  /** The value of a series without labels in /metrics. */
  async metric(name) {
    const text = await (await fetch(`${this.url}/metrics`)).text()
    return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1])
  }

  sockets() {
    return this.metric('gpu_exporter_websocket_clients')
  }

  /** Waits for so many sockets: a page may be connected by a fetch before its socket is open. */
  has(sockets) {
    return until(`${sockets} sockets`, () => this.sockets(), (n) => n === sockets)
  }
}

/** A server of static files on another port of loopback: another origin. */
export async function serveFolder(folder, address = '127.0.0.1', port = 0) {
  const kinds = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.woff2': 'font/woff2', '.svg': 'image/svg+xml' }
  const server = createServer((request, answer) => {
    const path = normalize(new URL(request.url, 'http://x').pathname)
    try {
      const content = readFileSync(join(folder, path.endsWith('/') ? `${path}index.html` : path))
      answer.writeHead(200, { 'Content-Type': kinds[extname(path) || '.html'] ?? 'application/octet-stream' }).end(content)
    } catch {
      answer.writeHead(404).end()
    }
  })
  await new Promise((resolve, reject) => server.on('error', reject).listen(port, address, resolve))
  return { url: `http://${address}:${server.address().port}`, close: () => new Promise((resolve) => {
    server.closeAllConnections()
    server.close(resolve)
  }) }
}

export const CHROMIUM = process.env.PANEL_CHROMIUM ?? '/usr/bin/chromium'

/** What Chromium must not do here: use a GPU or a sandbox (there is neither in a container), or speak to its maker. */
export const CHROMIUM_FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage']

export const launch = () => chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS })

/**
 * A page of a fresh profile, French on a desk and still unless said otherwise: drawn in software, animations would take a core
 * from all else. Whatever goes wrong in it is kept in `page.faults`:
 * exceptions, errors and warnings on the console, requests to other hosts than those of `hosts`.
 * `init` is a function, and what it is given, for the page to run before anything of its own.
 */
export async function openPage(browser, url, { hosts = [], allow = [], init, ...options } = {}) {
  const context = await browser.newContext({ locale: 'fr-FR', viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce', ...options })
  const page = await context.newPage()
  const allowed = [new URL(url).host, ...hosts]
  page.faults = []
  const fault = (text) => allow.some((form) => form.test(text)) || page.faults.push(text)
  page.on('pageerror', (error) => fault(`exception: ${error.stack}`))
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) &&
    fault(`console ${message.type()}: ${message.text()} (${message.location().url})`))
  page.on('request', (request) => {
    const { host, protocol } = new URL(request.url())
    if (!allowed.includes(host) && protocol !== 'data:' && protocol !== 'blob:') fault(`request to ${request.url()}`)
  })
  page.on('websocket', (socket) => allowed.includes(new URL(socket.url()).host) || fault(`socket to ${socket.url()}`))
  if (init) await page.addInitScript(...init)
  await page.goto(url)
  return page
}

/** Closes a page and says what went wrong in it. */
export async function closeFaultless(page) {
  await page.context().close()
  assert.deepEqual(page.faults, [])
}

/** Waits for the panel's font: in another one all is of another size. */
export async function fontCame(page) {
  const faces = await page.evaluate(() => document.fonts.load('16px gpu-stats-orbitron').then((found) => found.length))
  assert.ok(faces > 0, 'the panel has brought no font')
}

/** A restart of the service cannot but leave its mark on the console. */
export const RESTART = [/ERR_CONNECTION_REFUSED|WebSocket connection to .* failed|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET/]

const shots = process.env.PANEL_SHOTS
if (shots) mkdirSync(shots, { recursive: true })

/** A picture of a state, in the folder of PANEL_SHOTS where that is given. */
export async function picture(page, name) {
  if (!shots) return
  await page.emulateMedia({ reducedMotion: 'no-preference' })
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true })
  await page.emulateMedia({ reducedMotion: 'reduce' })
}

/** Waits for a promise, but not for ever. */
export async function within(promise, complaint, patience = PATIENCE) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(complaint())), patience)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Asks again and again until the answer is one that holds, and returns it. */
export async function until(what, ask, holds = Boolean, patience = PATIENCE) {
  let last
  for (const end = Date.now() + patience; Date.now() < end;) {
    last = await ask()
    if (holds(last)) return last
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.fail(`not seen: ${what}; last: ${JSON.stringify(last)}`)
}

/** Builds a page of a folder here by the Vite of the panel. */
export function viteBuild(config, to) {
  execFileSync(join(here, '../node_modules/.bin/vite'), ['build', '--config', join(here, config), '--outDir', to, '--emptyOutDir',
    '--logLevel', 'warn'], { cwd: join(here, '..'), stdio: 'inherit' })
}
