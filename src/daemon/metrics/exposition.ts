import type { Sample } from './catalogue.js';
import type { MetricDefinition } from './metric-definition.js';

const escaped: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '"': '\\"' };
const labelValue = (value: string): string =>
  /[\\\n"]/.test(value) ? value.replaceAll(/[\\\n"]/g, (character) => escaped[character] ?? '') : value;

const labelText = (labels: NonNullable<Sample['labels']>): string => {
  let text = '';
  for (const name in labels) text += `${text === '' ? '' : ','}${name}="${labelValue(labels[name] ?? '')}"`;
  return text === '' ? '' : `{${text}}`;
};

/**
 * The lines of a metric in Prometheus' text format 0.0.4, each with its newline. A metric without labels always has a value. prom-client
 * would keep a series for each sample and make one text of all.
 */
export function* metricLines(
  { name, help, type, labels }: MetricDefinition,
  samples: Iterable<Sample>,
): Iterable<string> {
  yield `# HELP ${name} ${help.replaceAll('\\', '\\\\')}\n# TYPE ${name} ${type}\n`;
  let isEmpty = true;
  for (const { labels: values = {}, value } of samples) {
    isEmpty = false;
    yield `${name}${labelText(values)} ${value}\n`;
  }
  if (isEmpty && labels.length === 0) yield `${name} 0\n`;
}
