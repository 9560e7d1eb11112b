import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { sourceMetrics, workMetrics } from '../../src/daemon/metrics/catalogue.js';
import { backendMetrics, trafficMetrics } from '../../src/daemon/metrics/traffic-metrics.js';
import type { MetricDefinition } from '../../src/daemon/metrics/metric-definition.js';
import { componentMetrics, kubeProxyMetrics } from '../../src/daemon/metrics/kube-proxy-metrics.js';
import { Metrics, pageText } from '../../src/daemon/metrics/registry.js';

// The tables of docs/metrics.md are generated from the code: node build/test/support/metrics-document.js writes them.

const file = fileURLToPath(new URL('../../../docs/metrics.md', import.meta.url));

const cell = (text: string): string => text.replaceAll('<', '&lt;').replaceAll('|', '\\|');

const tableOf = (rows: readonly (readonly string[])[]): string => {
  const [head = [], ...rest] = rows;
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rest.map(line)].join('\n');
};

const definitionTable = (definitions: readonly MetricDefinition[]): string =>
  tableOf([
    ['name', 'type', 'labels', 'meaning'],
    ...definitions.map(({ name, type, labels, help }) => [`\`${name}\``, type, labels.join(', '), help]),
  ]);

/** The metrics of the process as the page has them. */
const processTable = async (): Promise<string> => {
  const text = await pageText(await new Metrics({ version: '0.0.0' }).page());
  const types = new Map(
    [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type = '']) => [name, type]),
  );
  const helps = [...text.matchAll(/^# HELP ((?:process|nodejs)_\S+) (.*)$/gm)];
  return tableOf([
    ['name', 'type', 'meaning'],
    ...helps.map(([, name = '', help = '']) => [`\`${name}\``, types.get(name) ?? '', help]),
  ]);
};

const sections = async (): Promise<Readonly<Record<string, string>>> => ({
  'kube-proxy': definitionTable([...Object.values(kubeProxyMetrics), ...Object.values(componentMetrics)]),
  traffic: definitionTable(Object.values(trafficMetrics)),
  backends: definitionTable(Object.values(backendMetrics)),
  work: definitionTable(Object.values(workMetrics)),
  sources: definitionTable(Object.values(sourceMetrics)),
  process: await processTable(),
});

/** The page as it is, and as the code says it should be. */
export const metricsDocument = async (): Promise<{ readonly present: string; readonly wanted: string }> => {
  const present = readFileSync(file, 'utf8');
  let wanted = present;
  for (const [name, table] of Object.entries(await sections()))
    wanted = wanted.replace(
      new RegExp(`(<!-- ${name} -->\n)[^]*?(<!-- end -->)`),
      (_, begin: string, end: string) => `${begin}\n${table}\n\n${end}`,
    );
  return { present, wanted };
};

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(file, (await metricsDocument()).wanted);
