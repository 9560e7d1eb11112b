// Measures the daemon's parts on this kernel: a full sync, single changes, memory. Arguments: SERVICES ENDPOINTS CHANGES.
// Prints one line of JSON; run by scripts/bench in a fresh network namespace.
import assert from 'node:assert/strict';
import type { VirtualServerKey } from '../../src/model/virtual-server.js';
import { startInProcess } from '../support/in-process-daemon.js';
import { ready, service, slice } from '../support/objects.js';

const [services = 100, endpoints = 10, changes = 100] = process.argv.slice(2).map(Number);
const part = (index: number): string => `${index >> 8}.${index & 255}`;
const nameOf = (index: number): string => `service-${index}`;
const sliceOf = (index: number, count: number) =>
  slice(
    nameOf(index),
    Array.from({ length: count }, (_, pod) => ready(`10.${128 + pod}.${part(index)}`)),
    { ports: [':8080'] },
  );

const residentMegabytes = (): number => Math.round(process.memoryUsage().rss / 1e5) / 10;
const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

const indexes = Array.from({ length: services }, (_, index) => index + 1);
const serviceMap = new Map(
  indexes
    .map((index) => service(nameOf(index), { clusterIP: `10.96.${part(index)}` }))
    .map((value) => [value.key, value]),
);
const sliceMap = new Map(
  indexes.map((index) => sliceOf(index, endpoints)).map((value) => [value.key, value]),
);

await using daemon = await startInProcess('--ipvs-sync-period=1h');
const { store, proxy, observed } = daemon.wired;

const started = performance.now();
const first = proxy.start();
store.replace('services', serviceMap);
store.replace('endpointSlices', sliceMap);
const report = await first;
const fullSyncSeconds = (performance.now() - started) / 1e3;
assert.deepEqual(report, { applied: services * (endpoints + 2), failed: 0 });

// The events of our own addresses come back after the first sync; they are not part of a change.
await new Promise((resolve) => setTimeout(resolve, 500));

const durations: number[] = [];
const messagesBefore = daemon.messages();
for (let change = 0; change < changes; change += 1) {
  // Each time another Service gets its eleventh endpoint; once all have it, they lose it again.
  const index = 1 + (change % services);
  const value = sliceOf(index, endpoints + 1 - (Math.floor(change / services) % 2));
  const begun = performance.now();
  store.apply([{ kind: 'endpointSlice', key: value.key, value }]);
  const key = `TCP 10.96.${part(index)}:80` as VirtualServerKey;
  while (observed.virtualServer(key)?.realServers.size !== value.endpoints.length) {
    await new Promise(setImmediate);
  }
  durations.push(performance.now() - begun);
}

process.stdout.write(
  `${JSON.stringify({
    fullSyncSeconds,
    changeMilliseconds: median(durations),
    messagesPerChange: (daemon.messages() - messagesBefore) / changes,
    residentMegabytes: residentMegabytes(),
  })}\n`,
);
