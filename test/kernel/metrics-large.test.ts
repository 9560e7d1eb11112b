// lab: --memory 1G
import assert from 'node:assert/strict';
import { after, before, mock, test } from 'node:test';
import type { EndpointSlice } from '../../src/model/endpoint.js';
import type { Service } from '../../src/model/service.js';
import { until } from '../support/eventually.js';
import { ready, service, slice } from '../support/objects.js';
import { pageText } from '../../src/daemon/metrics/registry.js';
import { startInProcess, type InProcessDaemon } from '../support/in-process-daemon.js';

// The page of a node with 10,000 Services. A turn of the event loop has a length in milliseconds. Here each look at the clock takes
// a quarter of one, and all else takes none, so the number of turns is the same on every machine.

const count = 10_000;
const nameOf = (index: number): string => `s${index}`;
const clusterIp = (index: number): string => `10.96.${index >> 8}.${index & 255}`;
const serviceOf = (index: number): Service => service(nameOf(index), { clusterIP: clusterIp(index) });
const sliceOf = (index: number): EndpointSlice =>
  slice(nameOf(index), [ready(`10.128.${index >> 8}.${index & 255}`)]);

let daemon: InProcessDaemon;

before(async () => {
  daemon = await startInProcess('--ipvs-sync-period=1h');
  const indexes = Array.from({ length: count }, (_, index) => index + 1);
  const first = daemon.wired.syncLoop.start();
  daemon.wired.store.replace('services', new Map(indexes.map(serviceOf).map((value) => [value.key, value])));
  daemon.wired.store.replace(
    'endpointSlices',
    new Map(indexes.map(sliceOf).map((value) => [value.key, value])),
  );
  assert.equal((await first).failed, 0);
  const now = performance.now.bind(performance);
  let looks = 0;
  mock.method(performance, 'now', () => now() + ++looks / 4);
});
after(async () => {
  mock.restoreAll();
  await daemon[Symbol.asyncDispose]();
});

/** How often something else could run meanwhile. */
const turnsDuring = async (work: () => Promise<unknown>): Promise<number> => {
  let turns = 0;
  let done = false;
  const tick = (): void => {
    turns += 1;
    if (!done) setImmediate(tick);
  };
  setImmediate(tick);
  await work();
  done = true;
  await new Promise(setImmediate);
  return turns;
};

const readPage = async (): Promise<string> => pageText(await daemon.metrics.page());

test('it has 500 Services, says how many it left out, and uses no socket of the proxy', async (context) => {
  const messages = daemon.messages();
  const first = performance.now();
  const turns = await turnsDuring(readPage);
  await until('what was read of the kernel is old', () => performance.now() > first + 2_000);
  const turnsAgain = await turnsDuring(readPage);
  context.diagnostic(`the first page was made in ${turns} turns, the second in ${turnsAgain}`);
  const text = await readPage();
  assert.equal(text.match(/^kube_ipvs_service_connections_total\{/gm)?.length, 500);
  assert.match(text, new RegExp(`^kube_ipvs_service_ports_left_out ${count - 500}$`, 'm'));
  assert.match(text, new RegExp(`^kube_ipvs_virtual_servers ${count}$`, 'm'));
  assert.match(text, new RegExp(`^kube_ipvs_real_servers ${count}$`, 'm'));
  assert.equal(daemon.messages(), messages);
  assert.ok(turnsAgain >= 100, `the page was made in ${turnsAgain} turns of the event loop`);
});

test('a page with the series of all 10,000 Services is made in many turns', async (context) => {
  const { settings } = daemon;
  settings.replace({ ...settings.now, perServiceMetrics: { enabled: true, maximum: count } });
  const first = performance.now();
  await until('what was read of the kernel is old', () => performance.now() > first + 2_000);
  let text = '';
  const turns = await turnsDuring(async () => {
    text = await readPage();
  });
  assert.equal(text.match(/^kube_ipvs_service_connections_total\{/gm)?.length, count);
  assert.equal(text.match(/^kube_ipvs_service_bytes_total\{/gm)?.length, 2 * count);
  context.diagnostic(`${text.length} characters in ${turns} turns`);
  assert.ok(turns >= 500, `the page was made in ${turns} turns of the event loop`);
});

test('the series of 1,000 endpoints are read in many turns, and the other endpoints are counted', async (context) => {
  const { settings } = daemon;
  settings.replace({
    ...settings.now,
    perServiceMetrics: { enabled: false, maximum: 1 },
    backendMetrics: { enabled: true, maximumSeries: 9_000, services: ['*/*'] },
  });
  const messages = daemon.messages();
  let text = '';
  const turns = await turnsDuring(async () => {
    text = await readPage();
  });
  assert.equal(text.match(/^kube_ipvs_backend_\w+\{/gm)?.length, 9_000);
  assert.match(text, new RegExp(`^kube_ipvs_backends_left_out ${count - 1_000}$`, 'm'));
  assert.equal(daemon.messages(), messages);
  context.diagnostic(`${text.length} characters in ${turns} turns`);
  assert.ok(turns >= 500, `the page was made in ${turns} turns of the event loop`);
});
