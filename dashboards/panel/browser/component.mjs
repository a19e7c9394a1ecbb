// The component in an application of another origin: mounted and unmounted, several on one page, small.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  Exporter, RESTART, closeFaultless, fontCame, launch, oneCard, openPage, picture, serveFolder, twoCards, until, viteBuild, within, work,
} from './kit.mjs'

let browser, application
before(async () => {
  const folder = join(work, 'harness')
  viteBuild('harness/vite.config.js', folder)
  application = await serveFolder(folder)
  browser = await launch()
})
after(async () => {
  await browser?.close()
  await application?.close()
})

/** Counts what is pending in a page: timers, and requests for frames. */
function countTimers() {
  const pending = (window.pending = new Map())
  for (const [set, clear, once] of [
    ['setTimeout', 'clearTimeout', true], ['setInterval', 'clearInterval', false], ['requestAnimationFrame', 'cancelAnimationFrame', true],
  ]) {
    const original = window[set], undo = window[clear]
    window[set] = (f, ...rest) => {
      const id = original((...args) => {
        if (once) pending.delete(`${set} ${id}`)
        return f(...args)
      }, ...rest)
      pending.set(`${set} ${id}`, String(f).slice(0, 200))
      return id
    }
    window[clear] = (id) => {
      pending.delete(`${set} ${id}`)
      return undo(id)
    }
  }
  const sockets = (window.sockets = [])
  window.WebSocket = class extends window.WebSocket {
    constructor(...args) {
      super(...args)
      sockets.push(this)
    }
  }
}

const openApplication = async (exporter, options = {}) => {
  const page = await openPage(browser, application.url, { hosts: [exporter.address], init: [countTimers], ...options })
  await page.waitForFunction(() => window.show)
  return page
}

const connected = (page, panels = 1) =>
  until('the panels connected', () => page.getByText('CONNECTÉ', { exact: true }).count(), (n) => n >= panels)

const on = (name, tree, body, ...flags) => test(name, async () => {
  const made = tree?.()
  const exporter = await Exporter.start(made, ...flags)
  try {
    await body(exporter, made)
  } finally {
    await exporter.stop()
  }
})

on('mounted and unmounted 50 times it leaves no socket and no timer', oneCard, async (exporter) => {
  // Chromium says so of any socket that is closed while it connects.
  const page = await openApplication(exporter, { allow: [/WebSocket is closed before the connection is established/] })
  const open = () => page.evaluate(() => window.sockets.filter((s) => s.readyState < WebSocket.CLOSED).length)
  for (let i = 0; i < 50; i++) {
    await page.evaluate((baseUrl) => window.show({ baseUrl }), exporter.url)
    if (i % 5 === 0) await connected(page) // else it is unmounted while it connects
    // Some live on for a frame, in which their observers still see them go.
    await page.evaluate((frame) => {
      window.show()
      return frame && new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))
    }, i % 5 === 0)
  }
  await until('no open socket in the page', open, (n) => n === 0)
  await exporter.has(0)
  await until('no timer', () => page.evaluate(() => [...window.pending.values()]), (left) => left.length === 0)
  // The old panel opened a new socket 3 s after it had been unmounted; this one has no timer by which it could.
  assert.ok(await page.evaluate(() => window.sockets.length) >= 10)
  await page.evaluate((baseUrl) => window.show({ baseUrl }), exporter.url)
  await connected(page)
  assert.equal(await open(), 1)
  await exporter.has(1)
  await closeFaultless(page)
})

on('unmounted while the service is away it does not come back', oneCard, async (exporter) => {
  const page = await openApplication(exporter, { allow: RESTART })
  await page.evaluate((baseUrl) => window.show({ baseUrl }), exporter.url)
  await connected(page)
  await exporter.stop()
  await page.getByText('CONNEXION...', { exact: true }).first().waitFor()
  await page.evaluate(() => window.show())
  await until('no timer', () => page.evaluate(() => [...window.pending.values()]), (left) => left.length === 0)
  await exporter.again()
  assert.equal(await exporter.sockets(), 0)
  await closeFaultless(page)
})

on('three panels of one service share a socket', twoCards, async (exporter) => {
  const page = await openApplication(exporter)
  const { gpus } = await until('both', () => exporter.json('/gpus'), (b) => b.gpus.length === 2)
  await page.evaluate(([baseUrl, a, b]) => window.show({ baseUrl, gpu: a }, { baseUrl: `${baseUrl}/`, gpu: b }, { baseUrl, locale: 'en' }),
    [exporter.url, gpus[0].gpu, gpus[1].gpu])
  await until('three panels', () => page.getByRole('region', { name: 'GPU statistics' }).count(), (n) => n === 3)
  await connected(page, 2)
  await page.getByText('CONNECTED', { exact: true }).waitFor()
  assert.equal(await page.evaluate(() => window.sockets.length), 1)
  await exporter.has(1)
  await picture(page, 'three-panels')
  await closeFaultless(page)
})

on('another service: the choice made for the one before is not kept', twoCards, async (exporter) => {
  const page = await openApplication(exporter)
  await until('both', () => exporter.json('/gpus'), (b) => b.gpus.length === 2)
  const pressed = () => page.locator('[aria-pressed]').evaluateAll((cards) => cards.map((card) => card.ariaPressed).join())
  const show = (baseUrl) => page.evaluate((props) => window.show(props), { baseUrl })
  await show(exporter.url)
  await page.locator('[aria-pressed]').nth(1).click()
  await until('the choice', pressed, (p) => p === 'false,true')
  await show('http://')
  await page.getByText(/Adresse du service GPU invalide/).filter({ visible: true }).first().waitFor()
  await show(exporter.url)
  await until('the first card', pressed, (p) => p === 'true,false')
  assert.equal(await page.getByText(/Adresse du service GPU invalide/).count(), 0)
  await closeFaultless(page)
})

for (const [name, cell] of [
  ['390 px wide', { width: 390, height: 900 }],
  ['in the compact form', { className: 'compact-gpu-stats', width: 300, height: 700 }],
]) {
  on(`of twelve simulated cards the one that is shown is in view, and marked; ${name}`, null, async (exporter) => {
    const page = await openApplication(exporter, { viewport: { width: 1200, height: 1000 } })
    let sendFont
    const fontWanted = new Promise((resolve) => page.route('**/*.woff2', (route) => {
      sendFont = () => route.continue()
      resolve()
    }))
    await page.evaluate((props) => window.show(props), { ...cell, baseUrl: exporter.url, gpu: 10 })
    const card = page.locator('[aria-pressed=true]')
    await card.getByText('SIM', { exact: true }).waitFor()
    assert.equal(await card.getByText('SIM', { exact: true }).getAttribute('title'), "Valeurs simulées: aucun GPU réel n'est mesuré")
    const inView = () => card.evaluate((e) => {
      const box = e.closest('ul').getBoundingClientRect()
      const inBox = ({ left, right, top, bottom }) =>
        left >= box.left - 1 && right <= box.right + 1 && top >= box.top - 1 && bottom <= box.bottom + 1
      const boxes = [e, ...e.querySelectorAll('span')].map((part) => part.getBoundingClientRect())
      return boxes.filter(({ width }) => width > 0).every(inBox)
    })
    await until('it in view, in a font of the system', inView)
    await within(fontWanted, () => 'the font is not asked for')
    await sendFont()
    await page.evaluate(() => document.fonts.ready)
    await until('it in view, in the font of the panel', inView)
    // The row does not move with the readings.
    const place = () => card.evaluate((e) => e.getBoundingClientRect().left)
    const readings = () => page.locator('[aria-pressed] .gpu-stats-mini:first-child').allInnerTexts()
    const [placed, read] = [await place(), (await readings()).join()]
    await until('other readings', readings, (now) => now.join() !== read)
    assert.equal(await place(), placed)
    assert.equal(await page.evaluate(() => window.scrollY + document.querySelector('.cell').scrollTop), 0)
    await picture(page, `twelve-${cell.width}`)
    await closeFaultless(page)
  }, '--collector.simulation=on', '--simulation.gpus=12')
}

on('of 64 cards the list stays where the user has scrolled it, until another card is shown', null, async (exporter) => {
  const page = await openApplication(exporter, { viewport: { width: 1200, height: 1000 } })
  const show = (gpu) => page.evaluate((props) => window.show(props), { width: 390, height: 900, baseUrl: exporter.url, gpu })
  await show(0)
  const list = page.getByRole('list').filter({ has: page.locator('[aria-pressed]') })
  await until('64 cards', () => list.getByRole('listitem').count(), (n) => n === 64)
  await fontCame(page)
  await list.hover()
  await page.mouse.wheel(0, 100_000)
  const left = () => list.evaluate((e) => e.scrollHeight - e.clientHeight - e.scrollTop)
  await until('the end of the list', left, (pixels) => pixels < 1)
  await page.evaluate(async () => {
    const { name } = performance.getEntriesByType('resource').find((one) => one.name.endsWith('.woff2'))
    const face = new FontFace('of the application', `url(${name})`)
    document.fonts.add(face)
    const done = new Promise((resolve) => document.fonts.addEventListener('loadingdone', resolve, { once: true }))
    await face.load()
    await done
  })
  assert.ok((await left()) < 1, 'it has moved')
  await show(30) // as one that is found only now, and that the application wants
  await until('that card in view', () => page.locator('[aria-pressed=true]').evaluate((card) => {
    const [inner, outer] = [card, card.closest('ul')].map((e) => e.getBoundingClientRect())
    return card.innerText.includes('#30') && inner.top >= outer.top && inner.bottom <= outer.bottom
  }))
  await closeFaultless(page)
}, '--collector.simulation=on', '--simulation.gpus=64')

for (const [name, tree] of [['one card', oneCard], ['two cards', twoCards]]) {
  on(`the compact form in a cell of 300 px: readable, nothing is cut; ${name}`, tree, async (exporter, made) => {
    const page = await openApplication(exporter, { viewport: { width: 1200, height: 800 } })
    made.set('card1', 'gpu_busy_percent', '64')
    const cell = { baseUrl: exporter.url, className: 'compact-gpu-stats', width: 300, height: 700 }
    await page.evaluate((props) => window.show(props), cell)
    await connected(page)
    await until('a reading', () => page.getByText('64.0%').count(), (n) => n > 0)
    if (tree === twoCards) await until('both cards', () => page.locator('[aria-pressed]').count(), (n) => n === 2)
    await fontCame(page)
    const faults = await page.evaluate(() => {
      const box = document.querySelector('.cell').getBoundingClientRect()
      const texts = [...document.querySelectorAll('.cell *')].filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) &&
        e.getClientRects().length && e.getBoundingClientRect().width > 1)
      return {
        small: texts.filter((e) => parseFloat(getComputedStyle(e).fontSize) < 11 && getComputedStyle(e).fontSize !== '0px').map((e) => `${getComputedStyle(e).fontSize} ${e.textContent}`),
        cut: texts.filter((e) => e.getBoundingClientRect().right > box.right || e.getBoundingClientRect().left < box.left)
          .map((e) => e.textContent),
        root: document.querySelector('.cell > *').className,
      }
    })
    assert.deepEqual(faults.small, [])
    assert.deepEqual(faults.cut, [])
    assert.match(faults.root, /compact-gpu-stats/)
    assert.match(faults.root, /MuiCard-root/)
    await picture(page, `compact-${name.replace(' ', '-')}`)
    await closeFaultless(page)
  })
}

on('no tile sticks out of its paper, and nothing jumps when a value gets wider', oneCard, async (exporter, made) => {
  const page = await openApplication(exporter, { viewport: { width: 1200, height: 1400 } })
  made.set('card1', 'hwmon/hwmon4/freq1_input', '2888000000') // the widest number of four digits
  const heights = new Map()
  for (const load of ['0', '48', '100']) {
    made.set('card1', 'gpu_busy_percent', load)
    for (const cell of [{ width: 300 }, { width: 320 }, { width: 440 }, { width: 960 }, { width: 300, className: 'compact-gpu-stats' }]) {
      const name = Object.values(cell).join(' ')
      await page.evaluate((props) => window.show(props), { ...cell, height: 1400, baseUrl: exporter.url })
      await until(`a load of ${load} %`, () => page.getByText(`GPU: ${load}.0%`, { exact: true }).count())
      await until('the clock', () => page.getByText('2888 MHz', { exact: true }).count())
      await fontCame(page)
      const { out, legend, body } = await page.evaluate(() => {
        const [legend, body] = ['.gpu-stats-legend', '.gpu-stats-body'].map((name) => document.querySelector(name).offsetHeight)
        // The list is as wide as the paper has room; its parts may be wider.
        const room = document.querySelector('dl').getBoundingClientRect().right
        const tiles = [...document.querySelectorAll('dl dd')]
        return { legend, body, out: tiles.filter((e) => e.getBoundingClientRect().right > room).map((e) => e.textContent) }
      })
      assert.deepEqual(out, [], name)
      if (!heights.has(name)) heights.set(name, { legend, body })
      assert.deepEqual({ legend, body }, heights.get(name), `${name} at ${load} %`)
      if (load === '100') await picture(page, `narrow-${name.replace(' ', '-')}`)
    }
  }
  await closeFaultless(page)
})
