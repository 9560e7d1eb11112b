import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { before, test } from 'node:test';
import { readClocks } from '../../../src/base/instant.js';
import { catalogue } from '../../../src/daemon/metrics/catalogue.js';
import { Metrics, pageText } from '../../../src/daemon/metrics/registry.js';

// The parser of Prometheus' own Python library reads the page, and rules like promtool's hold.

const packages = '/usr/lib/python3/dist-packages';
const need = fileURLToPath(new URL('../../../../scripts/need', import.meta.url));

const program = `
import json, sys
sys.path.insert(0, '${packages}')
from prometheus_client.parser import text_string_to_metric_families
print(json.dumps([
  {'name': family.name, 'type': family.type, 'help': family.documentation,
   'samples': [[sample.name, sample.labels, sample.value] for sample in family.samples]}
  for family in text_string_to_metric_families(sys.stdin.read())
], default=str))
`;

interface ParsedFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly (readonly [
    name: string,
    labels: Readonly<Record<string, string>>,
    value: number,
  ])[];
}

const parse = (page: string): readonly ParsedFamily[] =>
  JSON.parse(
    execFileSync('/usr/bin/python3', ['-c', program], { input: page, encoding: 'utf8' }).replaceAll(
      /(?<=, )NaN(?=\])/g,
      'null',
    ),
  );

const awkward = 'a "quoted" \\ back\nslash';

const fullPage = async (): Promise<string> => {
  const metrics = new Metrics({ version: '1.2.3' });
  metrics.ended({ at: readClocks(), seconds: 0.1, succeeded: true });
  metrics.requested({ code: '<error>', host: '[fd00::1]:6443', method: 'GET', seconds: 0.3 });
  metrics.addSource(() =>
    Object.entries(catalogue)
      .filter(([, { type }]) => type !== 'histogram')
      .map(([key, { labels }]) => ({
        metric: key as keyof typeof catalogue,
        labels: Object.fromEntries(labels.map((label) => [label, awkward])),
        value: 12_345_678_901,
      })),
  );
  return pageText(await metrics.page());
};

before(() => {
  execFileSync(need, ['/usr/bin/python3=python3', `${packages}/prometheus_client=python3-prometheus-client`]);
});

test('the parser finds every metric with its type, and labels as they were', async () => {
  const families = new Map(parse(await fullPage()).map((family) => [family.name, family]));
  for (const { name, type, labels, help } of Object.values(catalogue)) {
    // The library names a counter without its suffix.
    const family = families.get(type === 'counter' ? name.replace(/_total$/, '') : name);
    assert.equal(family?.type, type, name);
    assert.equal(family.help, help);
    if (type === 'histogram') continue;
    const sample = family.samples.findLast(([, found]) => labels.every((label) => found[label] === awkward));
    assert.equal(sample?.[2], 12_345_678_901, name);
  }
});

/** Names that kube-proxy has given. */
const kubeProxyNames = /^(kubeproxy|rest_client|kubernetes)_/;

test('names and units follow the conventions', () => {
  for (const { name, type, help, labels } of Object.values(catalogue)) {
    assert.match(help, /^[A-Z].*\.$/, name);
    assert.match(name, /^[a-z][a-z0-9_]*$/);
    for (const label of labels) assert.match(label, /^[a-z][a-z0-9_]*$/, name);
    if (kubeProxyNames.test(name)) continue;
    assert.equal(name.endsWith('_total'), type === 'counter', name);
    assert.doesNotMatch(name, /_(milliseconds|minutes|kilobytes|count|sum|bucket|info)(_|$)/, name);
    if (type === 'histogram') assert.match(name, /_(seconds|bytes)$/, name);
  }
  const names = Object.values(catalogue).map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
});
