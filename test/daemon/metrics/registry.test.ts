import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readClocks } from '../../../src/base/instant.js';
import { Metrics, pageText } from '../../../src/daemon/metrics/registry.js';
import { slice, ready, service } from '../../support/objects.js';

const metricsFor = (): Metrics => new Metrics({ version: '1.2.3', processMetrics: false });

/** The lines of a metric, without HELP and TYPE. */
const linesOf = async (metrics: Metrics, name: string): Promise<readonly string[]> =>
  (await pageText(await metrics.page())).split('\n').filter((line) => new RegExp(`^${name}[ {_]`).test(line));

const exponential = Array.from({ length: 15 }, (_, exponent) => String(0.001 * 2 ** exponent));
const whole = (first: number, last: number, step: number): readonly string[] =>
  Array.from({ length: (last - first) / step + 1 }, (_, index) => String(first + index * step));

type Row = readonly [name: string, type: string, labels: string, buckets?: readonly string[]];

/** kube-proxy-ipvs §7.3: name, type, labels, buckets. */
const ofKubeProxy: readonly Row[] = [
  ['kubeproxy_sync_proxy_rules_duration_seconds', 'histogram', 'ip_family', exponential],
  ['kubeproxy_sync_proxy_rules_last_timestamp_seconds', 'gauge', 'ip_family'],
  ['kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds', 'gauge', 'ip_family'],
  [
    'kubeproxy_network_programming_duration_seconds',
    'histogram',
    'ip_family',
    ['0.25', '0.5', ...whole(1, 59, 1), ...whole(60, 115, 5), ...whole(120, 300, 30)],
  ],
  ['kubeproxy_sync_proxy_rules_endpoint_changes_pending', 'gauge', ''],
  ['kubeproxy_sync_proxy_rules_endpoint_changes_total', 'counter', ''],
  ['kubeproxy_sync_proxy_rules_service_changes_pending', 'gauge', ''],
  ['kubeproxy_sync_proxy_rules_service_changes_total', 'counter', ''],
  ['kubeproxy_sync_proxy_rules_iptables_restore_failures_total', 'counter', 'ip_family'],
  ['kubeproxy_sync_proxy_rules_no_local_endpoints_total', 'gauge', 'ip_family traffic_policy'],
  ['kubeproxy_conntrack_reconciler_sync_duration_seconds', 'histogram', 'ip_family', exponential],
  ['kubeproxy_conntrack_reconciler_deleted_entries_total', 'counter', 'ip_family'],
  ['kubeproxy_proxy_healthz_total', 'counter', 'code'],
  ['kubeproxy_proxy_livez_total', 'counter', 'code'],
  ['rest_client_requests_total', 'counter', 'code host method'],
  [
    'rest_client_request_duration_seconds',
    'histogram',
    'host verb',
    ['0.005', '0.025', '0.1', '0.25', '0.5', '1', '2', '4', '8', '15', '30', '60'],
  ],
  [
    'kubernetes_build_info',
    'gauge',
    'build_date compiler git_commit git_tree_state git_version go_version major minor platform',
  ],
  ['kubernetes_feature_enabled', 'gauge', 'name stage'],
];

/** What Go's own library and Node's have alike, and some of Node's alone. */
const ofProcess = [
  'process_cpu_seconds_total',
  'process_resident_memory_bytes',
  'process_virtual_memory_bytes',
  'process_start_time_seconds',
  'process_open_fds',
  'process_max_fds',
  'nodejs_eventloop_lag_p99_seconds',
  'nodejs_heap_size_used_bytes',
];

/** Makes every metric of kube-proxy's have a value. */
const everythingHappens = (metrics: Metrics): void => {
  metrics.started();
  metrics.service(service('web', { clusterIP: '10.96.0.1' }).key, true);
  const triggeredAt = Date.now() + 1_000;
  metrics.endpointSlice({ ...slice('web', [ready('10.1.0.1')]), triggeredAt }, 'changed');
  metrics.queued();
  metrics.began();
  metrics.ended({ at: readClocks(), seconds: 0.003, succeeded: true });
  metrics.packetRulesRefused('IPv4');
  metrics.conntrackReconciled({ family: 'IPv6', seconds: 0.01, deleted: 3 });
  metrics.healthzServed(200);
  metrics.livezServed(503);
  metrics.requested({ code: '200', host: 'api:6443', method: 'GET', seconds: 0.3 });
  metrics.addSource(() => [
    { metric: 'noLocalEndpoints', labels: { traffic_policy: 'internal', ip_family: 'IPv4' }, value: 2 },
  ]);
};

const labelsIn = (line = ''): readonly string[] =>
  [...line.matchAll(/(\w+)="/g)].map(([, label]) => label ?? '').toSorted();

test('every metric of kube-proxy has its name, type, labels and buckets', async () => {
  const metrics = new Metrics({
    version: '1.2.3',
    featureGates: [{ name: 'AllAlpha', stage: 'ALPHA', enabled: false }],
  });
  everythingHappens(metrics);
  const page = await metrics.page();
  const { contentType } = page;
  const text = await pageText(page);
  const lines = text.split('\n');
  assert.equal(contentType, 'text/plain; version=0.0.4; charset=utf-8');
  for (const [name, type, labels, buckets] of ofKubeProxy) {
    assert.ok(lines.includes(`# TYPE ${name} ${type}`), name);
    const sample = buckets === undefined ? name : `${name}_bucket`;
    const samples = lines.filter((line) => line.startsWith(`${sample}{`) || line.startsWith(`${sample} `));
    const wanted = [...labels.split(' ').filter(Boolean), ...(buckets === undefined ? [] : ['le'])];
    assert.notEqual(samples.length, 0, name);
    assert.deepEqual(labelsIn(samples[0]), wanted.toSorted(), name);
    if (buckets === undefined) continue;
    const bounds = samples.map((line) => /le="([^"]*)"/.exec(line)?.[1] ?? '');
    assert.deepEqual([...new Set(bounds)], [...buckets, '+Inf'], name);
  }
  for (const name of ofProcess)
    assert.ok(
      lines.some((line) => line.startsWith(`${name} `)),
      name,
    );
});

test('changes are pending until a sync begins, and are all counted', async () => {
  const metrics = metricsFor();
  const { key } = service('web', { clusterIP: '10.96.0.1' });
  const one = slice('web', [ready('10.1.0.1')]);
  const values = async (): Promise<readonly number[]> => {
    const lines = await linesOf(metrics, 'kubeproxy_sync_proxy_rules_(service|endpoint)_changes');
    return lines.map((line) => Number(line.split(' ')[1]));
  };
  metrics.service(key, true);
  metrics.service(key, true);
  metrics.service(key, false);
  metrics.endpointSlice(one, 'changed');
  metrics.endpointSlice(one, 'none');
  metrics.endpointSlice(one, 'gone');
  assert.deepEqual(await values(), [2, 3, 1, 3]);
  metrics.began();
  assert.deepEqual(await values(), [0, 3, 0, 3]);
});

test('a sync that broke is timed, but is not the last one; its triggers are measured by the next', async () => {
  const metrics = metricsFor();
  const triggeredAt = Date.now() + 5;
  metrics.endpointSlice({ ...slice('web', [ready('10.1.0.1')]), triggeredAt }, 'changed');
  metrics.endpointSlice({ ...slice('old', [ready('10.1.0.2')]), triggeredAt: 1 }, 'changed');
  const counts = async (name: string): Promise<readonly string[]> =>
    (await linesOf(metrics, name))
      .filter((line) => line.includes('_count{'))
      .map((line) => line.replace(/.*"(.*)"}/, '$1'));
  const duration = 'kubeproxy_sync_proxy_rules_duration_seconds';
  const programming = 'kubeproxy_network_programming_duration_seconds';
  const last = 'kubeproxy_sync_proxy_rules_last_timestamp_seconds';
  metrics.began();
  metrics.ended({ at: readClocks(), seconds: 1, succeeded: false });
  assert.deepEqual(await counts(duration), ['IPv4 1', 'IPv6 1']);
  assert.deepEqual(await counts(programming), []);
  assert.deepEqual(await linesOf(metrics, last), []);
  metrics.began();
  metrics.ended({ at: readClocks(), seconds: 1, succeeded: true });
  assert.deepEqual(await counts(programming), ['IPv4 1']);
  assert.equal((await linesOf(metrics, last)).length, 2);
});

test('what a source no longer gives is no longer on the page; one that fails takes no other with it', async () => {
  const metrics = metricsFor();
  const gives = new Set(['a', 'b']);
  metrics.addSource(() => {
    if (gives.size === 0) throw new Error('the kernel is gone');
    return [...gives].map((resource) => ({ metric: 'lists' as const, labels: { resource }, value: 7 }));
  });
  metrics.addSource(async () => [{ metric: 'services', value: 3 }]);
  const lists = async (): Promise<readonly string[]> =>
    (await linesOf(metrics, 'kube_ipvs_watch_lists_total')).map((line) => line.replace(/.*{/, ''));
  assert.deepEqual(await lists(), ['resource="a"} 7', 'resource="b"} 7']);
  gives.delete('b');
  assert.deepEqual(await lists(), ['resource="a"} 7']);
  gives.clear();
  assert.deepEqual(await lists(), []);
  assert.deepEqual(await linesOf(metrics, 'kube_ipvs_services'), ['kube_ipvs_services 3']);
  const failures = 'kube_ipvs_scrape_failures_total';
  assert.deepEqual(await linesOf(metrics, failures), [`${failures} 3`]);
});

test('a table gives its samples by metric, after those of sources', async () => {
  const metrics = metricsFor();
  const asked: string[] = [];
  metrics.addSource(() => [{ metric: 'lists', labels: { resource: 'a' }, value: 1 }]);
  metrics.addTable(async () => ({
    metrics: ['lists', 'serviceConnections', 'servicePortsLeftOut'],
    *samplesOf(metric) {
      asked.push(metric);
      if (metric !== 'servicePortsLeftOut') yield { metric, labels: { resource: 'a "b"\\\n' }, value: 2 };
    },
  }));
  metrics.addTable(async () => {
    throw new Error('the kernel is gone');
  });
  const [page, other] = await Promise.all([metrics.page(), metrics.page()]);
  const text = await pageText(page);
  assert.deepEqual(asked, ['serviceConnections', 'servicePortsLeftOut', 'lists']);
  assert.equal(await pageText(other), text);
  const lines = text
    .split('\n')
    .filter((line) => /^kube_ipvs_(watch_lists|service_(connections|ports))/.test(line));
  assert.deepEqual(lines, [
    'kube_ipvs_service_connections_total{resource="a \\"b\\"\\\\\\n"} 2',
    'kube_ipvs_service_ports_left_out 0',
    'kube_ipvs_watch_lists_total{resource="a"} 1',
    'kube_ipvs_watch_lists_total{resource="a \\"b\\"\\\\\\n"} 2',
  ]);
  assert.match(text, /^kube_ipvs_scrape_failures_total 1$/m);
});
