// What Grafana's server adds to a dashboard before its panels are drawn: the registries of field options and
// transformations, and the defaults of the panel types. The packages have the mechanism and leave the tables to the server.
import {
  FieldConfigOptionsRegistry, identityOverrideProcessor, standardTransformers, standardTransformersRegistry,
} from '@grafana/data';

const options = [
  'unit', 'min', 'max', 'decimals', 'displayName', 'noValue', 'color', 'thresholds', 'mappings', 'links',
  ...[
    'align', 'axisColorMode', 'axisLabel', 'axisPlacement', 'axisSoftMax', 'axisSoftMin', 'cellOptions', 'drawStyle',
    'fillOpacity', 'gradientMode', 'hidden', 'hideFrom', 'inspect', 'lineInterpolation', 'lineStyle', 'lineWidth', 'minWidth', 'pointSize',
    'scaleDistribution', 'showPoints', 'spanNulls', 'stacking', 'thresholdsStyle', 'width',
  ].map(id => `custom.${id}`),
];

export const registry = new FieldConfigOptionsRegistry(() => options.map(id => ({
  id,
  path: id === 'custom.hidden' ? 'hideFrom.viz' : id.replace('custom.', ''), // that of a table until Grafana 12
  isCustom: id.startsWith('custom.'),
  name: id,
  process: (value, ...rest) => (id === 'thresholds' ? ordered(value) : identityOverrideProcessor(value, ...rest)),
  shouldApply: () => true,
})));

// ordered gives the base step its value: JSON has none for minus infinity.
const ordered = thresholds =>
  thresholds && { ...thresholds, steps: thresholds.steps.map(s => ({ ...s, value: s.value ?? -Infinity })) };

// Those that the dashboards use. Not all at once: the list has some twice, which the registry refuses.
const { mergeTransformer, filterFieldsByNameTransformer, organizeFieldsTransformer } = standardTransformers;
const transformers = [mergeTransformer, filterFieldsByNameTransformer, organizeFieldsTransformer];
standardTransformersRegistry.setInit(() =>
  transformers.map(t => ({ id: t.id, name: t.name, transformation: () => Promise.resolve(t) })));

export const custom = {
  timeseries: {
    drawStyle: 'line', lineInterpolation: 'linear', lineWidth: 1, fillOpacity: 0, showPoints: 'auto', pointSize: 5,
    axisPlacement: 'auto', axisColorMode: 'text', axisLabel: '', scaleDistribution: { type: 'linear' },
    stacking: { mode: 'none', group: 'A' }, thresholdsStyle: { mode: 'off' },
    hideFrom: { legend: false, tooltip: false, viz: false },
  },
  table: { align: 'auto', cellOptions: { type: 'auto' } },
};
