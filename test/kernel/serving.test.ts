import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ApiObject } from '../support/api-objects.js';
import { ApiServer } from '../support/api-server.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { runLine } from '../support/lab-guest.js';
import { local, ready, serviceObject, sliceObject, thisNode, type EndpointSpec } from '../support/objects.js';
import { elapse } from '../support/virtual-clock.js';
import { kubeconfigFor } from '../support/kubeconfig.js';

// What a running daemon answers on its ports.

const scratch = mkdtempSync(join(tmpdir(), 'kube-ipvs-serving-'));
const kubeconfig = join(scratch, 'kubeconfig');

const health = 'http://127.0.0.1:10256';
const metrics = 'http://127.0.0.1:10249';
const check = 'http://127.0.0.1:32010';

const node = (changes: { readonly metadata?: object; readonly spec?: object } = {}): ApiObject => ({
  kind: 'Node',
  metadata: { name: thisNode, ...changes.metadata },
  spec: { podCIDRs: ['10.244.1.0/24'], ...changes.spec },
  status: { addresses: [{ type: 'InternalIP', address: '192.0.2.10' }] },
});

const withHealthCheck = (name: string, number: number, port: number): ApiObject =>
  serviceObject(name, {
    type: 'LoadBalancer',
    clusterIPs: [`10.96.0.${number}`, `fd00:96::${number}`],
    ipFamilies: ['IPv4', 'IPv6'],
    externalTrafficPolicy: 'Local',
    healthCheckNodePort: port,
  }) as ApiObject;

const endpoints = (name: string, ...specs: readonly EndpointSpec[]): ApiObject =>
  sliceObject(name, specs) as ApiObject;

let server: ApiServer;

before(async () => {
  for (const line of [
    'ip link set lo up',
    'ip link add eth0 type dummy',
    'ip address add 192.0.2.10/24 dev eth0',
    'ip address add fd00:200::2/64 dev eth0 nodad',
    'ip link set eth0 up',
  ])
    runLine(line);
  server = await ApiServer.start({ token: 'secret' });
  writeFileSync(kubeconfig, kubeconfigFor(server.url, 'secret'));
  server.put(
    node(),
    withHealthCheck('web', 1, 32_010),
    endpoints('web', local(ready('10.244.1.1')), local(ready('10.244.1.2')), ready('10.244.2.1')),
  );
});
after(() => server[Symbol.asyncDispose]());

const start = (...flags: readonly string[]): DaemonProcess =>
  new DaemonProcess([`--kubeconfig=${kubeconfig}`, `--hostname-override=${thisNode}`, ...flags]);

interface Seen {
  readonly status: number;
  readonly type: string | null;
  readonly headers: Headers;
  readonly body: string;
}

const ask = async (url: string, options: RequestInit = {}): Promise<Seen> => {
  const response = await fetch(url, options);
  const { status, headers } = response;
  return { status, type: headers.get('content-type'), headers, body: await response.text() };
};
const statusOf = async (url: string): Promise<number> => (await ask(url)).status;
const comesTo = (url: string, status: number): Promise<void> =>
  eventually(async () => assert.equal(await statusOf(url), status));
const refused = (url: string): Promise<void> => assert.rejects(statusOf(url), `${url} answers`);

const listeningAt = (port: number): readonly string[] =>
  runLine(`ss -Hlnt sport = :${port}`)
    .split('\n')
    .flatMap((line) => line.split(/\s+/)[3] ?? [])
    .toSorted();

const aTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/;

test('health: kube-proxy’s answers, on every address, as the Node goes', async () => {
  await using _daemon = start();
  await comesTo(`${health}/healthz`, 200);
  const { type, headers, body } = await ask(`${health}/healthz`);
  assert.deepEqual([type, headers.get('x-content-type-options')], ['application/json', 'nosniff']);
  const told = JSON.parse(body) as Record<string, unknown>;
  assert.deepEqual(Object.keys(told), ['lastUpdated', 'currentTime', 'nodeEligible', 'healthy', 'status']);
  assert.match(String(told['currentTime']), aTime);
  assert.deepEqual([told['nodeEligible'], told['healthy']], [true, true]);
  assert.deepEqual(Object.keys(told['status'] as object), ['IPv4', 'IPv6']);
  const livez = await ask(`${health}/livez`, { method: 'POST' });
  assert.equal(livez.status, 200);
  assert.equal('nodeEligible' in (JSON.parse(livez.body) as object), false);
  for (const host of ['[::1]', '192.0.2.10', '[fd00:200::2]'])
    assert.equal(await statusOf(`http://${host}:10256/livez`), 200, host);
  for (const path of ['/', '/healthz/', '/healthz/ping', '/metrics'])
    assert.equal(await statusOf(`${health}${path}`), 404, path);

  server.put(node({ spec: { taints: [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }] } }));
  await comesTo(`${health}/healthz`, 503);
  assert.equal(await statusOf(`${health}/livez`), 200);
  assert.match((await ask(`${health}/healthz`)).body, /"nodeEligible":false,"healthy":true/);
  server.put(node());
  await comesTo(`${health}/healthz`, 200);
  server.put(node({ metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } }));
  await comesTo(`${health}/healthz`, 503);
  server.put(node());
  await comesTo(`${health}/healthz`, 200);
});

test('health checks of Services: by family, following endpoints and Services; a port in use is an event; all end with the daemon', async () => {
  const stranger = createServer().unref();
  await new Promise<void>((resolve) => stranger.listen(32_011, '0.0.0.0', resolve));
  server.put(withHealthCheck('stuck', 2, 32_011), endpoints('stuck', local(ready('10.244.1.3'))));
  await using daemon = start('--healthz-port=0');
  await comesTo(check, 200);
  await refused(`${health}/healthz`);
  const { headers, body } = await ask(`${check}/any`);
  assert.equal(headers.get('x-load-balancing-endpoint-weight'), '2');
  assert.equal(
    body,
    '{\n\t"service": {\n\t\t"namespace": "default",\n\t\t"name": "web"\n\t},\n\t"localEndpoints": 2,\n\t"serviceProxyHealthy": true\n}',
  );
  assert.equal(await statusOf('http://[fd00:200::2]:32010'), 503, 'no IPv6 endpoint is here');
  assert.equal(await statusOf('http://[::1]:32011'), 503, 'what one family cannot have, the other has');

  await eventually(() =>
    assert.equal(
      server.events.filter(({ reason }) => reason === 'FailedToStartServiceHealthcheck').length,
      1,
    ),
  );
  const event = server.events.find(({ reason }) => reason === 'FailedToStartServiceHealthcheck');
  assert.deepEqual([event?.type, event?.regarding?.name], ['Warning', 'stuck']);
  await new Promise((resolve) => stranger.close(resolve));
  await comesTo('http://127.0.0.1:32011', 200);

  server.put(endpoints('web', ready('10.244.2.1')));
  await comesTo(check, 503);
  server.put(endpoints('web', ready('10.244.2.1'), local(ready('10.244.1.9'))));
  await comesTo(check, 200);
  server.put(withHealthCheck('web', 1, 32_012));
  await comesTo('http://127.0.0.1:32012', 200);
  await refused(check);
  server.delete('Service', 'default/stuck');
  await eventually(() => refused('http://127.0.0.1:32011'));
  server.put(withHealthCheck('web', 1, 32_010));
  await comesTo(check, 200);
  assert.equal(await daemon.stop(), 0);
  await refused(check);
});

test('health checks are served on the addresses of nodePortAddresses, as they come and go', async () => {
  await using _daemon = start('--nodeport-addresses=192.0.2.0/24');
  await comesTo('http://192.0.2.10:32010', 200);
  await refused(check);
  assert.equal(await statusOf('http://[fd00:200::2]:32010'), 503);
  runLine('ip address add 192.0.2.11/24 dev eth0');
  await comesTo('http://192.0.2.11:32010', 200);
  assert.deepEqual(listeningAt(32_010), ['192.0.2.10:32010', '192.0.2.11:32010', '[::]:32010']);
  runLine('ip address delete 192.0.2.11/24 dev eth0');
  await eventually(() => assert.deepEqual(listeningAt(32_010), ['192.0.2.10:32010', '[::]:32010']));
  assert.equal(await statusOf('http://192.0.2.10:32010'), 200);
});

test('the metrics port', async () => {
  await using _daemon = start('--ipvs-scheduler=lc');
  await comesTo(`${metrics}/healthz`, 200);
  const plain = 'text/plain; charset=utf-8';
  const seen = async (path: string, options?: RequestInit) => {
    const { status, type, body } = await ask(`${metrics}${path}`, options);
    return [status, type, body];
  };
  assert.deepEqual(await seen('/healthz'), [200, plain, 'ok']);
  assert.deepEqual(await seen('/healthz/ping'), [200, plain, 'ok']);
  assert.deepEqual(await seen('/healthz?verbose'), [200, plain, '[+]ping ok\nhealthz check passed\n']);
  assert.deepEqual(await seen('/proxyMode'), [200, plain, 'ipvs']);
  assert.equal((await ask(`${metrics}/proxyMode`)).headers.get('x-content-type-options'), 'nosniff');
  const [status, type] = await seen('/metrics');
  assert.deepEqual([status, String(type).startsWith('text/plain; version=0.0.4')], [200, true]);
  await comesTo(`${health}/healthz`, 200);
  await comesTo(`${health}/livez`, 200);
  const page = (await ask(`${metrics}/metrics`)).body;
  for (const path of ['healthz', 'livez'])
    assert.match(page, new RegExp(`^kubeproxy_proxy_${path}_total\\{code="200"\\} [1-9]`, 'm'));
  assert.match(
    (await ask(`${metrics}/metrics/slis`)).body,
    /name="ping",status="success",type="healthz"\} 3\n/,
  );
  assert.deepEqual(await seen('/metrics/slis', { method: 'DELETE' }), [200, plain, 'metrics reset\n']);
  assert.doesNotMatch((await ask(`${metrics}/metrics/slis`)).body, /ping/);

  const configz = await ask(`${metrics}/configz`);
  assert.equal(configz.type, 'application/json');
  const config = (JSON.parse(configz.body) as Record<string, Record<string, unknown>>)[
    'kubeproxy.config.k8s.io'
  ];
  assert.deepEqual(
    [config?.['apiVersion'], config?.['kind'], config?.['mode'], config?.['metricsBindAddress']],
    ['kubeproxy.config.k8s.io/v1alpha1', 'KubeProxyConfiguration', 'ipvs', '127.0.0.1:10249'],
  );
  assert.match(configz.body, /"ipvs":\{[^}]*"syncPeriod":"30s"/);

  assert.match((await ask(`${metrics}/flagz`)).body, /^\nkube-proxy flags\n[^]*\nipvs-scheduler=lc\n/);
  const paths = '/configz /flagz /healthz /healthz/ping /metrics /metrics/slis /proxyMode /statusz';
  assert.ok((await ask(`${metrics}/statusz`)).body.endsWith(`\nPaths: ${paths}\n`));
  const accept = 'application/json;v=v1beta1;g=config.k8s.io;as=Statusz';
  const object = await ask(`${metrics}/statusz`, { headers: { accept } });
  assert.equal((JSON.parse(object.body) as { readonly kind: unknown }).kind, 'Statusz');
  assert.equal(
    await ask(`${metrics}/statusz`, { headers: { accept: 'image/png' } }).then((a) => a.status),
    406,
  );

  assert.match((await ask(`${metrics}/`)).body, /<title>kube-ipvs<\/title>/);
  for (const path of ['/livez', '/debug/pprof/', '/debug/flags/v', '/metrics/'])
    assert.deepEqual(await seen(path), [404, plain, '404 page not found\n'], path);
  await refused('http://192.0.2.10:10249/healthz');
});

test('profiling, where it is turned on; feature gates turn pages off', async () => {
  await using daemon = start(
    '--profiling',
    '--metrics-bind-address=0.0.0.0:10249',
    '--feature-gates=ComponentFlagz=false',
  );
  await comesTo(`${metrics}/healthz`, 200);
  assert.equal(await statusOf('http://[fd00:200::2]:10249/healthz'), 200);
  assert.equal(await statusOf(`${metrics}/`), 404, 'no page where others reach it');
  assert.equal(await statusOf(`${metrics}/flagz`), 404);
  assert.match((await ask(`${metrics}/debug/pprof/`)).body, /cpuprofile/);
  assert.match((await ask(`${metrics}/debug/pprof/cmdline`)).body, /--profiling/);
  const profile = await ask(`${metrics}/debug/pprof/profile?seconds=0.5`);
  assert.ok(Array.isArray((JSON.parse(profile.body) as { readonly nodes: unknown }).nodes));
  assert.equal(await statusOf(`${metrics}/debug/pprof/profile?seconds=x`), 400);
  assert.match((await ask(`${metrics}/debug/pprof/heap`)).body, /^\{"snapshot":/);
  const setting = `${metrics}/debug/flags/v`;
  const put = async (text: string): Promise<readonly [number, string]> => {
    const { status, body } = await ask(setting, { method: 'PUT', body: text });
    return [status, body];
  };
  assert.equal(await statusOf(setting), 406);
  assert.equal((await put('high'))[0], 400);
  assert.doesNotMatch(daemon.log, /"level":"debug"/);
  assert.deepEqual(await put('5'), [200, 'successfully set klog.logging.verbosity to 5']);
  server.put(withHealthCheck('later', 3, 32_013));
  await eventually(() => assert.match(daemon.log, /"level":"debug"/));
});

test('a port that another has: tried again until it is free; with bindAddressHardFail the daemon ends, and tells by an event', async () => {
  const stranger = createServer().unref();
  await new Promise<void>((resolve) => stranger.listen(10_256, '0.0.0.0', resolve));
  await using hard = start('--bind-address-hard-fail');
  assert.equal(await hard.ended(), 1);
  assert.match(hard.log, /cannot listen at 0\.0\.0\.0:10256: the port is in use by another program/);
  const told = server.events.find(({ reason }) => reason === 'FailedToStartProxierHealthcheck');
  assert.deepEqual([told?.type, told?.regarding?.name], ['Warning', thisNode]);
  await using patient = start();
  await comesTo(check, 200);
  await elapse(5_500);
  assert.equal(patient.log.match(/"server-not-listening","server":"health"/g)?.length, 1);
  await new Promise((resolve) => stranger.close(resolve));
  await comesTo(`${health}/healthz`, 200);
});
