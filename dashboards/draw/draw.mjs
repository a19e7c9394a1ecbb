// Asks a Prometheus the queries of dashboards and takes pictures of the answers. The script draw calls it.
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const { values: flags, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    prometheus: { type: 'string' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
    out: { type: 'string', default: '../../docs' },
    minutes: { type: 'string', default: '5' },
    step: { type: 'string', default: '1' }, // seconds
    width: { type: 'string', default: '1600' },
    var: { type: 'string', multiple: true, default: [] },
    open: { type: 'boolean', default: false }, // rows that are closed at first
  },
});
const chosen = new Map(flags.var.map(v => v.split(/=(.*)/s)));
const step = Number(flags.step) * 1000;
const to = Math.floor(Date.now() / step) * step;
const from = to - Number(flags.minutes) * 60_000;

async function ask(path, params) {
  const answer = await fetch(`${flags.prometheus}/api/v1/${path}?${new URLSearchParams(params)}`);
  const { status, data, error } = await answer.json();
  if (status !== 'success') {
    throw new Error(`${path} ${JSON.stringify(params)}: ${error}`);
  }
  return data;
}

// fill puts variables in as Grafana does: ${x}, $x. Those that it does not know stay for Prometheus to refuse.
const fill = (text, variables) => text.replace(/\$(?:{(\w+)}|(\w+))/g, (whole, a, b) => variables[a ?? b] ?? whole);

const quoted = text => text.replaceAll('\\', '\\\\'); // within "" of PromQL, as Grafana does it where one value can be chosen

// firstValue is the one that Grafana takes for a variable that has no "All".
async function firstValue(variable, query) {
  const [, matched, label] = /^label_values\((.+), (\w+)\)$/.exec(query) ?? [];
  if (label) {
    return (await ask(`label/${label}/values`, { 'match[]': matched }))[0];
  }
  const { result } = await ask('query', { query: /^query_result\((.+)\)$/s.exec(query)[1] });
  const texts = result.map(({ metric: { __name__: name = '', ...labels }, value }) =>
    `${name}{${Object.entries(labels).map(([k, v]) => `${k}="${v}"`).join(', ')}} ${value[1]}`);
  const pattern = new RegExp(variable.regex.slice(1, -1));
  return texts.map(t => pattern.exec(t)?.groups.value).find(Boolean);
}

async function variablesOf(dashboard) {
  const seconds = n => `${Math.ceil(n / 1000)}s`;
  // Grafana's $__rate_interval holds four scrapes, which a hurried stack makes each second.
  const variables = {
    __range: seconds(to - from), __interval: seconds(step), __rate_interval: seconds(Math.max(4000, step * 2)),
  };
  for (const v of dashboard.templating.list.filter(v => v.type === 'query')) {
    const value = v.multi ? undefined : chosen.get(v.name) ?? await firstValue(v, fill(v.query, variables));
    // For All, Grafana lists all values where it has no allValue, which gives the same series.
    variables[v.name] = value === undefined ? v.allValue ?? '.+' : quoted(value);
  }
  return variables;
}

async function answered(target, variables) {
  const query = fill(target.expr, variables);
  const { result } = target.instant
    ? await ask('query', { query, time: to / 1000 })
    : await ask('query_range', { query, start: from / 1000, end: to / 1000, step: step / 1000 });
  return { ...target, result };
}

// rows opens the closed rows if that is asked for, and moves down what is below them.
function rows(panels) {
  let down = 0;
  return panels.flatMap(p => {
    const moved = q => ({ ...q, gridPos: { ...q.gridPos, y: q.gridPos.y + down } });
    if (!flags.open || !p.collapsed) {
      return [moved(p)];
    }
    const opened = [{ ...p, collapsed: false }, ...p.panels].map(moved);
    down += Math.max(...p.panels.map(q => q.gridPos.y + q.gridPos.h)) - (p.gridPos.y + p.gridPos.h);
    return opened;
  });
}

async function boardOf(file) {
  const dashboard = JSON.parse(await readFile(file));
  const variables = await variablesOf(dashboard);
  const panels = await Promise.all(rows(dashboard.panels).map(async p =>
    (p.targets ? { ...p, targets: await Promise.all(p.targets.map(t => answered(t, variables))) } : p)));
  return { title: dashboard.title, panels, from, to, step, width: Number(flags.width) };
}

// file is what Grafana's server would have under a path. There is no server: the browser takes answers from here. It must
// believe in an address, though, as it keeps localStorage from a page without one, and the components want that.
function file(path) {
  const [folder, name] = [path.slice(1, path.lastIndexOf('/')), path.slice(path.lastIndexOf('/') + 1)];
  if (path === '/') {
    return { contentType: 'text/html', body: '<!doctype html><body style="margin: 0"><div id="board"></div>' };
  }
  if (folder === 'public/fonts/inter') {
    const weight = { 'Inter-Regular.woff2': 400, 'Inter-Medium.woff2': 500 }[name];
    return { path: `node_modules/@fontsource/inter/files/inter-latin-${weight}-normal.woff2` };
  }
  return { path: path.replace('/public/build/', 'node_modules/@grafana/ui/dist/public/') };
}

const browser = await chromium.launch({
  executablePath: flags.chromium,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
});
try {
  for (const name of names) {
    const board = await boardOf(`../grafana/${name}.json`);
    // As high as the longest dashboard: tables outside of the view stay empty.
    const page = await browser.newPage({ viewport: { width: board.width, height: 5000 } });
    page.on('pageerror', e => console.error(`${name}: ${e}`));
    page.on('console', m => m.type() === 'error' && console.error(`${name}: ${m.text()}`));
    await page.route('**', route => route.fulfill(file(new URL(route.request().url()).pathname)));
    await page.goto('http://board.invalid/');
    await page.addStyleTag({ path: 'dist/draw.css' });
    await page.addScriptTag({ path: 'dist/board.js' });
    await page.evaluate(b => window.draw(b), board);
    await page.waitForSelector('[data-panel]');
    await page.waitForTimeout(1500); // charts are drawn in the frames after that, and nothing says that they are done
    await page.locator('#board').screenshot({ path: `${flags.out}/${name}.png` });
    const empty = board.panels.filter(p => p.targets?.every(t => t.result.length === 0)).map(p => p.title);
    console.log(`${name}.png; without a series: ${empty.join(', ') || 'none'}`);
  }
} finally {
  await browser.close();
}
