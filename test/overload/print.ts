// Floods the daemon's wiring, on a kernel in memory, with changes of endpoints and prints what it cost. Argument: seconds of each flood.
import { flood, type Flood } from './flood.js';

const seconds = Number(process.argv[2] ?? '60');
const megabytes = (bytes: number): string => `${Math.round(bytes / 1024 / 1024)} MB`;

const line = ({ options, made, measured, settledSeconds, before, after }: Flood): string => {
  const { services, endpoints, together } = options;
  const { turn, eventLoopDelay } = measured;
  const { median, p99, longest } = eventLoopDelay;
  return [
    `${services} Services of ${endpoints} endpoints, ${together} changed at once: ${Math.round(made.changes / made.seconds)} changes a second for ${Math.round(made.seconds)} s`,
    `  ${measured.events} events, ${measured.syncs} syncs, ${measured.operations} operations; all there within ${settledSeconds.toFixed(1)} s of the last change`,
    `  processor ${((100 * measured.processorSeconds) / measured.seconds).toFixed(0)} %, in one turn of the event loop ${turn.p99} ms (99 %), ${turn.longest} ms (longest); its delay by the clock ${median} ms (median), ${p99} ms (99 %), ${longest} ms (longest)`,
    `  heap after GC ${megabytes(before.heapBytes)} before, ${megabytes(after.heapBytes)} after; RSS ${megabytes(before.residentBytes)}, ${megabytes(after.residentBytes)}`,
  ].join('\n');
};

for (const [services, endpoints, together] of [
  [1_000, 10, 1],
  [200, 100, 10],
] as const) {
  const options = {
    kernel: 'memory',
    services,
    endpoints,
    together,
    changesPerSecond: 2_000,
    seconds,
  } as const;
  console.log(line(await flood(options)));
}
