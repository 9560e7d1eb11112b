import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { catalogue } from '../../src/daemon/metrics/catalogue.js';
import { Metrics, pageText } from '../../src/daemon/metrics/registry.js';
import { readKustomization } from '../support/kustomization.js';

const folder = fileURLToPath(new URL('../../../deploy/monitoring', import.meta.url));

// PrometheusRule and PodMonitor are not Kubernetes types: these are the fields that the manifests use.
const annotations = z.strictObject({ summary: z.string() });
const ruleShape = z.strictObject({
  alert: z.string().regex(/^KubeIpvs[A-Z]\w+$/),
  expr: z.string(),
  for: z.string().regex(/^\d+m$/),
  labels: z.strictObject({ severity: z.enum(['critical', 'warning', 'info']) }),
  annotations,
});
const rulesShape = z.object({
  spec: z.strictObject({
    groups: z.array(z.strictObject({ name: z.string(), rules: z.array(ruleShape) })),
  }),
});
const dashboardShape = z.object({
  panels: z.array(z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })) })),
});

const kustomization = readKustomization(folder);
const found = kustomization.objects.find(({ kind }) => kind === 'PrometheusRule');
const rules = rulesShape.parse(found).spec.groups.flatMap((group) => group.rules);
const dashboard = z
  .object({ data: z.object({ 'kube-ipvs.json': z.string() }) })
  .parse(kustomization.objects.find(({ kind }) => kind === 'ConfigMap'));
const { panels } = dashboardShape.parse(JSON.parse(dashboard.data['kube-ipvs.json']));
const queries = [
  ...rules.map(({ alert, expr }) => ({ of: alert, expr })),
  ...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ of: title, expr }))),
];

const definitions = Object.values(catalogue);

/** The series on the metrics page, by the names that queries use. */
const onThePage = async (): Promise<ReadonlySet<string>> => {
  const text = await pageText(await new Metrics({ version: '0.0.0' }).page());
  const typed = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name = '', type]) =>
    type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  );
  return new Set(typed);
};

const metricNames = (expr: string): readonly string[] =>
  expr.match(/\b(?:kube_ipvs|kubeproxy|nodejs|process)_\w+/g) ?? [];

test('every metric in a rule or a panel is on the metrics page', async () => {
  const names = await onThePage();
  for (const { of, expr } of queries) {
    assert.notEqual(metricNames(expr).length, 0, of);
    for (const name of metricNames(expr)) assert.ok(names.has(name), `${of}: ${name}`);
  }
});

/** The labels that Prometheus adds. */
const targetLabels = ['instance', 'le'];

test('a query groups only by labels of its metric', () => {
  for (const { of, expr } of queries) {
    const metric = definitions.find(
      ({ name }) => metricNames(expr)[0]?.replace(/_(bucket|count|sum)$/, '') === name,
    );
    const known: readonly string[] = [...targetLabels, ...(metric?.labels ?? [])];
    for (const [, list = ''] of expr.matchAll(/\bby \(([^)]*)\)/g))
      for (const label of list.split(/, */)) assert.ok(known.includes(label), `${of}: ${label}`);
  }
});

test('parentheses, braces and brackets of every query are balanced', () => {
  for (const { of, expr } of queries)
    for (const [open, close] of [
      ['(', ')'],
      ['{', '}'],
      ['[', ']'],
    ] as const)
      assert.equal(expr.split(open).length, expr.split(close).length, of);
});

test('there is an alert for each state that needs an operator', () => {
  assert.deepEqual(
    rules.map(({ alert }) => alert.replace('KubeIpvs', '')),
    [
      'NotSynced',
      'Failing',
      'OperationsFail',
      'Drift',
      'NotFollowing',
      'ForwardingBlocked',
      'EventLoopDelay',
      'NoLocalEndpoints',
      'DrainsReachDeadline',
      'BackendsLeftOut',
    ],
  );
});
