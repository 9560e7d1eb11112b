// lab: -m 2G
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import type { ApiObject } from '../support/api-objects.js';
import { ApiServer } from '../support/api-server.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { kubeconfigFor } from '../support/kubeconfig.js';
import { run } from '../support/lab-guest.js';
import { elapse } from '../support/virtual-clock.js';

// Debian's Prometheus scrapes the daemon as the job kube-proxy, as the chart's PodMonitor with `job: kube-proxy` has it, and evaluates
// our alerts, our dashboard, and the expressions of kubernetes-mixin for kube-proxy.

const scratch = mkdtempSync(join(tmpdir(), 'prometheus-'));
const alerts = resolve('deploy/chart/files/alerts.yaml');
const minute = 60_000;
let server: ApiServer;
let daemon: DaemonProcess;
let prometheus: ChildProcess;
let log = '';

/** Two Services want the same external IP, so the daemon sends an Event. */
const service = (name: string, clusterIP: string, created: number): ApiObject => ({
  kind: 'Service',
  metadata: { namespace: 'shop', name, uid: name, creationTimestamp: `202${created}-01-01T00:00:00Z` },
  spec: {
    type: 'ClusterIP',
    clusterIP,
    clusterIPs: [clusterIP],
    externalIPs: ['203.0.113.7'],
    ports: [{ port: 80 }],
  },
});

const slice = (address: string): ApiObject => ({
  kind: 'EndpointSlice',
  metadata: {
    namespace: 'shop',
    name: 'web-1',
    labels: { 'kubernetes.io/service-name': 'web' },
    annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': new Date().toISOString() },
  },
  addressType: 'IPv4',
  ports: [{ port: 8080, protocol: 'TCP', name: '' }],
  endpoints: [{ addresses: [address], conditions: { ready: true } }],
});

/** The label `cluster` is empty, as in a mixin for one cluster. */
const configuration = `
global: { scrape_interval: 15s, evaluation_interval: 15s }
rule_files: [${alerts}, ${join(scratch, 'mixin.yaml')}]
scrape_configs:
  - job_name: kube-proxy
    static_configs: [{ targets: ["127.0.0.1:10249"] }]
`;
const daemonConfiguration = (kubeconfig: string): string => `
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: ipvs
clientConnection: { kubeconfig: ${kubeconfig} }
---
apiVersion: kube-ipvs.dev/v1alpha1
kind: KubeIpvsConfiguration
metrics: { backends: { enabled: true } }
`;
const mixinAlerts = `
groups:
  - name: mixin
    rules:
      - { alert: KubeProxyDown, expr: 'absent(up{job="kube-proxy"} == 1)', for: 15m }
`;

const resultShape = z.object({
  data: z.object({
    result: z.array(
      z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) }),
    ),
  }),
});
const rulesShape = z.object({
  data: z.object({
    groups: z.array(
      z.object({
        rules: z.array(
          z.object({
            name: z.string(),
            state: z.string(),
            health: z.string(),
            lastError: z.string().optional(),
          }),
        ),
      }),
    ),
  }),
});

const get = async (path: string): Promise<unknown> => {
  const response = await fetch(`http://127.0.0.1:9090/api/v1/${path}`);
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text);
};

/** The values of an instant query. */
const query = async (expression: string): Promise<readonly number[]> => {
  const { data } = resultShape.parse(await get(`query?query=${encodeURIComponent(expression)}`));
  return data.result.map(({ value }) => Number(value[1]));
};

const rules = async () => {
  const { data } = rulesShape.parse(await get('rules'));
  return data.groups.flatMap((group) => group.rules);
};

before(async () => {
  server = await ApiServer.start({ token: 'secret' });
  server.put({ kind: 'Node', metadata: { name: 'n1' }, spec: {}, status: { addresses: [] } });
  server.put(service('web', '10.96.0.10', 0), service('api', '10.96.0.11', 1), slice('10.244.0.1'));
  const kubeconfig = join(scratch, 'kubeconfig');
  writeFileSync(kubeconfig, kubeconfigFor(server.url, 'secret'));
  writeFileSync(join(scratch, 'config.conf'), daemonConfiguration(kubeconfig));
  daemon = new DaemonProcess([`--config=${join(scratch, 'config.conf')}`, '--hostname-override=n1']);
  writeFileSync(join(scratch, 'prometheus.yaml'), configuration);
  writeFileSync(join(scratch, 'mixin.yaml'), mixinAlerts);
  prometheus = spawn('prometheus', [
    `--config.file=${join(scratch, 'prometheus.yaml')}`,
    `--storage.tsdb.path=${join(scratch, 'data')}`,
    '--web.listen-address=127.0.0.1:9090',
  ]);
  prometheus.stderr?.setEncoding('utf8').on('data', (text: string) => (log += text));
  await eventually(async () =>
    assert.deepEqual(await query('up{job="kube-proxy"}').catch(() => []), [1], daemon.log + log),
  );
  for (let step = 2; step < 9; step += 1) {
    await elapse(minute);
    // Without it, a watch ends after five to ten minutes, so there may be no GET in the five minutes that the panels show.
    if (step === 6) server.endWatches();
    server.put(slice(`10.244.0.${step}`));
  }
});

after(async () => {
  prometheus.kill('SIGKILL');
  await daemon[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** What panels of kubernetes-mixin's dashboard "Kubernetes / Proxy" show, except for goroutines. */
const selected = 'cluster="", job="kube-proxy"';
const rateOf = (name: string, more = ''): string =>
  `rate(${name}{${selected}, instance=~"127.0.0.1:10249"${more}}[5m])`;
const quantile = (name: string, by: string, more = ''): string =>
  `histogram_quantile(0.99, sum(${rateOf(`${name}_bucket`, more)}) by (${by}))`;
const panels: readonly (readonly [name: string, expression: string])[] = [
  ['up', `sum(up{${selected}})`],
  ['rules sync rate', `sum(${rateOf('kubeproxy_sync_proxy_rules_duration_seconds_count')})`],
  [
    'rules sync latency',
    `histogram_quantile(0.99, ${rateOf('kubeproxy_sync_proxy_rules_duration_seconds_bucket')})`,
  ],
  ['network programming rate', `sum(${rateOf('kubeproxy_network_programming_duration_seconds_count')})`],
  ['network programming latency', quantile('kubeproxy_network_programming_duration_seconds', 'instance, le')],
  ['API request rate', `sum(${rateOf('rest_client_requests_total', ', code=~"2.."')})`],
  ['GET latency', quantile('rest_client_request_duration_seconds', 'verb, url, le', ', verb="GET"')],
  ['memory', `process_resident_memory_bytes{${selected}}`],
  ['CPU', rateOf('process_cpu_seconds_total')],
];
for (const [name, expression] of panels)
  test(`the mixin's panel ${name} has a value`, async () => {
    const values = await query(expression);
    assert.notEqual(values.length, 0, expression);
    for (const value of values) assert.ok(Number.isFinite(value) && value >= 0, `${expression}: ${value}`);
  });

test("the mixin's panel for the latency of POST has a series after an Event", async () => {
  assert.equal(
    (await query(`rest_client_request_duration_seconds_count{${selected}, verb="POST"}`)).length,
    1,
  );
  const latency = quantile('rest_client_request_duration_seconds', 'verb, url, le', ', verb="POST"');
  assert.equal((await query(latency)).length, 1);
});

const ownPanels = (): readonly { readonly title: string; readonly expr: string }[] => {
  const { panels: own } = z
    .object({
      panels: z.array(z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })) })),
    })
    .parse(JSON.parse(readFileSync('deploy/chart/files/dashboard.json', 'utf8')));
  return own.flatMap(({ title, targets }) =>
    targets.map(({ expr }) => ({
      title,
      expr: expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$\w+/g, '.*'),
    })),
  );
};

test('our panels of endpoints and of drains have values', async () => {
  const names = /endpoints|Endpoints without|Drain duration/;
  const own = ownPanels().filter(({ title }) => names.test(title) && !title.startsWith('Services'));
  assert.equal(own.length, 5);
  for (const { title, expr } of own) {
    const values = (await query(expr)).filter(Number.isFinite);
    assert.notEqual(values.length, 0, `${title}: ${expr}`);
  }
});

test('every query of our dashboard is valid, and promtool accepts our alerts', async () => {
  for (const { expr } of ownPanels()) await query(expr);
  assert.match(run('promtool', 'check', 'rules', alerts), /SUCCESS: 10 rules found/);
});

test('all alerts are evaluated without an error, and none fires while the daemon works', async () => {
  const evaluated = await rules();
  assert.equal(evaluated.length, 11);
  for (const { name, state, health, lastError } of evaluated)
    assert.deepEqual([name, state, health, lastError], [name, 'inactive', 'ok', undefined]);
});

test('KubeIpvsNotFollowing fires while the API server is away', async () => {
  await server[Symbol.asyncDispose]();
  await elapse(20 * minute);
  const firing = (await rules()).filter(({ state }) => state === 'firing').map(({ name }) => name);
  assert.deepEqual(firing, ['KubeIpvsNotFollowing']);
});

test("the mixin's KubeProxyDown fires when the daemon is gone", async () => {
  await daemon.stop();
  await elapse(20 * minute);
  const firing = (await rules()).filter(({ state }) => state === 'firing').map(({ name }) => name);
  assert.ok(firing.includes('KubeProxyDown'), firing.join());
});
