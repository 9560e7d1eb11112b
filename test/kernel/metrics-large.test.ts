// lab: --timeout 240 --memory 1G
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { performance } from 'node:perf_hooks';
import type { EndpointSlice } from '../../src/model/endpoint.js';
import type { Service } from '../../src/model/service.js';
import { ready, service, slice } from '../support/objects.js';
import { startInProcess, type InProcessDaemon } from '../support/in-process-daemon.js';

// The page of a node with 10,000 Services.

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
  const first = daemon.wired.proxy.start();
  daemon.wired.store.replace('services', new Map(indexes.map(serviceOf).map((value) => [value.key, value])));
  daemon.wired.store.replace(
    'endpointSlices',
    new Map(indexes.map(sliceOf).map((value) => [value.key, value])),
  );
  assert.equal((await first).failed, 0);
});
after(async () => {
  await daemon[Symbol.asyncDispose]();
});

/** The longest time that nothing else could run, and the whole, milliseconds. */
const standstillDuring = async (
  work: () => Promise<unknown>,
): Promise<readonly [longest: number, whole: number]> => {
  let longest = 0;
  let done = false;
  let last = performance.now();
  const tick = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (!done) setImmediate(tick);
  };
  setImmediate(tick);
  const started = performance.now();
  await work();
  const whole = performance.now() - started;
  done = true;
  await new Promise(setImmediate);
  return [longest, whole];
};

test('it has 500 Services, says how many it left out, and uses no socket of the proxy', async (context) => {
  const messages = daemon.messages();
  const [longest, whole] = await standstillDuring(() => daemon.metrics.page());
  const [longestAgain, wholeAgain] = await standstillDuring(async () => {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    return daemon.metrics.page();
  });
  context.diagnostic(
    `first page ${whole.toFixed()} ms, standstill ${longest.toFixed()} ms; second ${(wholeAgain - 1_000).toFixed()} ms, standstill ${longestAgain.toFixed()} ms`,
  );
  const { text } = await daemon.metrics.page();
  assert.equal(text.match(/^kube_ipvs_service_connections_total\{/gm)?.length, 500);
  assert.match(text, new RegExp(`^kube_ipvs_service_ports_left_out ${count - 500}$`, 'm'));
  assert.match(text, new RegExp(`^kube_ipvs_virtual_servers ${count}$`, 'm'));
  assert.match(text, new RegExp(`^kube_ipvs_real_servers ${count}$`, 'm'));
  assert.equal(daemon.messages(), messages);
  assert.ok(longestAgain < 250, `the event loop stood still for ${longestAgain} ms`);
});
