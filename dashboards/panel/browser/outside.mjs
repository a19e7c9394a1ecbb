// The component in applications that know nothing of its sources, as .ci/panel-outside has built them: JARVIS's own stack with
// GPUStats.jsx copied into it, and the newest React and Material UI with the package.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Exporter, closeFaultless, fontCame, launch, oneCard, openPage, picture, serveFolder, until } from './kit.mjs'

// An address of loopback that nobody else uses: JARVIS's panel is without props, and looks at port 5009 of the page's host.
const HOST = '127.0.0.77'

let browser, exporter
before(async () => {
  browser = await launch()
  exporter = await Exporter.startAt(`${HOST}:5009`, oneCard())
})
after(async () => {
  await browser?.close()
  await exporter?.stop()
})

/** How often a text is to be seen. */
const count = (page, text) => page.getByText(text, { exact: true }).filter({ visible: true }).count()

for (const { name, folder, query = '', panels, texts } of [
  { name: 'react-scripts 5.0.1, React 18.3.1, Material UI 5.18, GPUStats.jsx copied', folder: process.env.PANEL_JARVIS, panels: 2,
    texts: ['CONNECTÉ', '24.0°C', '2.0%', '9.4%', '2011 MHz', '32W', 'Utilisée: 1.5 GB'] },
  { name: 'React 19, the newest Material UI, the package', folder: process.env.PANEL_NEWEST, query: `?baseUrl=http://${HOST}:5009`, panels: 1,
    texts: ['CONNECTED', '24.0°C', '2.0%', '9.4%', '2011 MHz', '32W', 'Used: 1.5 GB'] },
]) {
  test(name, async () => {
    const application = await serveFolder(folder, HOST, 3000)
    const page = await openPage(browser, `${application.url}/${query}`, { hosts: [exporter.address] })
    for (const text of texts) await until(`${panels} times ${text}`, () => count(page, text), (n) => n >= panels)
    assert.equal(await page.getByRole('region', { name: 'GPU statistics' }).count(), panels)
    await exporter.has(1)
    await fontCame(page)
    await picture(page, `outside-${panels === 2 ? 'jarvis' : 'newest'}`)
    await closeFaultless(page)
    await exporter.has(0)
    await application.close()
  })
}
