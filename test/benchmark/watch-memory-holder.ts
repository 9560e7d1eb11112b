import { readFileSync } from 'node:fs';
import { createLogger } from '../../src/base/log.js';
import { limitSemiSpaceGrowth, omitMaglev } from '../../src/base/v8-memory.js';
import { releaseStartMemory } from '../../src/daemon/memory.js';
import { apiSource } from '../../src/watch/api/api-source.js';
import { ClusterStore } from '../../src/watch/store/cluster-store.js';
import { loadCredentials } from '../../src/watch/api/credentials.js';

/** As the daemon does once its code is loaded. */
omitMaglev();
limitSemiSpaceGrowth();

/** Follows the API server whose URL is the first argument, and prints as JSON what it costs to hold all of it. */
const began = performance.now();
let syncedAt = 0;
let cpuAtSync = 0;
const cpuMilliseconds = (): number => {
  const { user, system } = process.cpuUsage();
  return Math.round((user + system) / 1000);
};
const store = new ClusterStore(() => {
  if (!store.synced || syncedAt !== 0) return;
  syncedAt = performance.now();
  cpuAtSync = cpuMilliseconds();
  // As the daemon does after its first full sync.
  releaseStartMemory();
});
const source = apiSource({
  credentials: loadCredentials({ master: process.argv[2] }),
  nodeName: 'node-1',
  logger: createLogger({ verbosity: -1, format: 'json' }),
});
source.start(store);

const megabytes = (field: string): number =>
  Math.round(
    Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024,
  );

const report = async (): Promise<void> => {
  const { heapUsed } = process.memoryUsage();
  console.log(
    JSON.stringify({
      node: process.version,
      services: [...store.serviceKeys()].length,
      endpointSlices: [...store.endpointSliceKeys()].length,
      syncMilliseconds: Math.round(syncedAt - began),
      /** From the start of the process until all is listed and decoded. */
      cpuMilliseconds: cpuAtSync,
      heapMegabytes: Math.round(heapUsed / 1024 / 1024),
      rssMegabytes: megabytes('VmRSS'),
      /** Of it the code and constants of Node.js, which the kernel can evict. */
      programMegabytes: megabytes('RssFile'),
      peakRssMegabytes: megabytes('VmHWM'),
    }),
  );
  await source[Symbol.asyncDispose]();
};

/** Milliseconds. V8 gives back the pages that the start needed about half a minute after it. */
const settle = 45_000;

const wait = setInterval(() => {
  if (syncedAt === 0 || performance.now() - syncedAt < settle) return;
  clearInterval(wait);
  void report();
}, 100);
