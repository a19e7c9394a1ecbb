// Draws a dashboard and the answers to its queries with Grafana's own components. draw.mjs calls window.draw.
import { createRoot } from 'react-dom/client';
import { lastValueFrom } from 'rxjs';
import {
  ThemeContext, applyFieldOverrides, cacheFieldDisplayNames, createTheme, dateTime, getDisplayValueAlignmentFactors,
  getFieldDisplayValues, transformDataFrame,
} from '@grafana/data';
import { BarGauge, BigValue, GlobalStyles, PanelChrome, TimeSeries, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { custom, registry } from './fields.js';
import { frames } from './frames.js';

const theme = createTheme({ colors: { mode: 'dark' } });
const columns = 24, rowHeight = 30, gap = 8; // of Grafana's grid
const timeZone = 'utc';
const replaceVariables = text => text;

const Nothing = ({ children = 'No data' }) => (
  <div style={{ height: '100%', display: 'grid', placeItems: 'center', color: theme.colors.text.secondary }}>{children}</div>
);

// Values is the body of the panels that draw each value by itself: stat and bar gauge.
function Values({ panel, data, ...rest }) {
  const { orientation, reduceOptions, graphMode, minVizWidth, minVizHeight, maxVizHeight } = panel.options;
  const getValues = () => getFieldDisplayValues({
    data, fieldConfig: panel.fieldConfig, reduceOptions, replaceVariables, theme, timeZone, sparkline: graphMode === 'area',
  });
  return (
    <VizRepeater getValues={getValues} source={data} renderCounter={0} orientation={orientation ?? 'auto'}
      getAlignmentFactors={getDisplayValueAlignmentFactors} {...{ minVizWidth, minVizHeight, maxVizHeight, ...rest }} />
  );
}

// withoutName leaves the name out where there is one value: the title of the panel says what it is.
const withoutName = (display, count) => (count === 1 ? { ...display, title: undefined } : display);

const kinds = {
  stat: ({ panel, data, width, height }) => {
    const { colorMode, graphMode, justifyMode, textMode } = panel.options;
    return (
      <Values autoGrid {...{ panel, data, width, height }} renderValue={({ value, alignmentFactors, ...place }) => (
        <BigValue value={value.display} sparkline={value.sparkline} theme={theme} alignmentFactors={alignmentFactors}
          {...{ colorMode, graphMode, justifyMode, textMode, ...place }} />
      )} />
    );
  },
  bargauge: ({ panel, data, width, height }) => {
    const { displayMode, showUnfilled, namePlacement, valueMode } = panel.options;
    return (
      <Values {...{ panel, data, width, height }} renderValue={({ value, count, ...place }) => (
        <BarGauge value={withoutName(value.display, count)} field={value.field} theme={theme}
          display={value.view?.getFieldDisplayProcessor(value.colIndex)} valueDisplayMode={valueMode}
          {...{ displayMode, showUnfilled, namePlacement, ...place }} />
      )} />
    );
  },
  timeseries: ({ panel, data, board, width, height }) => {
    const [from, to] = [dateTime(board.from), dateTime(board.to)];
    return (
      <TimeSeries frames={data} structureRev={1} timeRange={{ from, to, raw: { from, to } }} timeZone={timeZone}
        legend={panel.options.legend} options={panel.options} width={width} height={height} />
    );
  },
  table: ({ panel, data, width, height }) => (
    <TableNG data={data[0]} fieldConfig={panel.fieldConfig} sortBy={panel.options.sortBy} structureRev={1}
      noHeader={!panel.options.showHeader} cellHeight={panel.options.cellHeight ?? 'sm'} width={width} height={height} />
  ),
};

function Body({ panel, data, board, width, height }) {
  const Kind = kinds[panel.type];
  if (!Kind) {
    return <Nothing>{panel.type}: lies in Grafana's server, not in its packages</Nothing>;
  }
  return data.some(f => f.length > 0) ? <Kind {...{ panel, data, board, width, height }} /> : <Nothing />;
}

function Panel({ panel, data, board }) {
  const { x, y, w, h } = panel.gridPos;
  const cell = board.width / columns;
  const [width, height] = [w * cell - gap, h * (rowHeight + gap) - gap];
  const place = { position: 'absolute', left: x * cell + gap / 2, top: y * (rowHeight + gap), width, height };
  if (panel.type === 'row') {
    const title = panel.collapsed ? `› ${panel.title} (${panel.panels.length} panels)` : `⌄ ${panel.title}`;
    return <div style={{ ...place, ...theme.typography.h5, lineHeight: `${height}px` }}>{title}</div>;
  }
  return (
    <div style={place} data-panel={panel.id}>
      <PanelChrome title={panel.title} hoverHeader={!panel.title} description={panel.description} {...{ width, height }}>
        {(innerWidth, innerHeight) => <Body {...{ panel, data, board }} width={innerWidth} height={innerHeight} />}
      </PanelChrome>
    </div>
  );
}

async function prepare(panel, board) {
  if (!panel.targets) {
    return [];
  }
  const { defaults, overrides } = panel.fieldConfig;
  // An option that is in no registry is left out without a word.
  const ids = Object.keys(defaults.custom ?? {}).map(k => `custom.${k}`)
    .concat(overrides.flatMap(o => o.properties).map(p => p.id));
  for (const id of ids) {
    if (!registry.getIfExists(id)) {
      console.error(`${panel.title}: option ${id} is not drawn: it is missing in fields.js`);
    }
  }
  const fieldConfig = { defaults: { ...defaults, custom: { ...custom[panel.type], ...defaults.custom } }, overrides };
  const data = await lastValueFrom(transformDataFrame(panel.transformations ?? [], frames(panel.targets, board)));
  const shown = applyFieldOverrides({ data, fieldConfig, fieldConfigRegistry: registry, replaceVariables, theme, timeZone });
  cacheFieldDisplayNames(shown);
  return shown;
}

window.draw = async board => {
  const data = await Promise.all(board.panels.map(p => prepare(p, board)));
  const height = Math.max(...board.panels.map(({ gridPos: { y, h } }) => (y + h) * (rowHeight + gap)));
  createRoot(document.getElementById('board')).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <h1 style={{ ...theme.typography.h3, margin: 0, padding: '12px 4px' }}>{board.title}</h1>
      <div style={{ position: 'relative', height }}>
        {board.panels.map((p, i) => <Panel key={p.id} panel={p} data={data[i]} board={board} />)}
      </div>
    </ThemeContext.Provider>,
  );
};
