// Answers of Prometheus as Grafana's data source makes data frames of them.
import { FieldType, createDataFrame } from '@grafana/data';

const number = text => ({ '+Inf': Infinity, '-Inf': -Infinity })[text] ?? Number(text);

// legend is the name of a series: its legendFormat with labels put in, or name and labels.
function legend(format, labels) {
  if (format) {
    return format.replace(/{{\s*(.+?)\s*}}/g, (_, label) => labels[label] ?? '');
  }
  const { __name__: name = '', ...rest } = labels;
  const inside = Object.entries(rest).map(([k, v]) => `${k}="${v}"`).join(', ');
  return inside ? `${name}{${inside}}` : name;
}

// seriesFrames has a frame for each series. A moment without a reading is a null, so that a line has a hole there.
function seriesFrames(target, from, to, step) {
  const steps = Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step);
  return target.result.map(({ metric, values, value }) => {
    const read = new Map((values ?? [value]).map(([t, v]) => [Math.round(t * 1000), number(v)]));
    const times = values ? steps : [...read.keys()];
    const displayNameFromDS = legend(target.legendFormat, metric);
    return createDataFrame({
      refId: target.refId,
      name: displayNameFromDS,
      fields: [
        { name: 'Time', type: FieldType.time, config: {}, values: times },
        {
          name: 'Value', type: FieldType.number, config: { displayNameFromDS }, labels: metric,
          values: times.map(t => read.get(t) ?? null),
        },
      ],
    });
  });
}

// tableFrame has a row for each series and a column for each label.
function tableFrame(target, of) {
  const labels = [...new Set(target.result.flatMap(r => Object.keys(r.metric)))].sort();
  const column = (name, type, values) => ({ name, type, config: {}, values });
  return createDataFrame({
    refId: target.refId,
    fields: [
      column('Time', FieldType.time, target.result.map(r => r.value[0] * 1000)),
      ...labels.map(l => column(l, FieldType.string, target.result.map(r => r.metric[l] ?? ''))),
      column(of > 1 ? `Value #${target.refId}` : 'Value', FieldType.number, target.result.map(r => number(r.value[1]))),
    ],
  });
}

export const frames = (targets, { from, to, step }) => targets.flatMap(t =>
  (t.format === 'table' ? [tableFrame(t, targets.length)] : seriesFrames(t, from, to, step)));
