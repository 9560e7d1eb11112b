import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Fault, Verb } from '../support/api-faults.js';
import { sampleNode, sampleService, sampleSlice } from '../support/api-samples.js';
import { ApiServer } from '../support/api-server.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { savedTable } from '../support/lab-guest.js';
import { mutationsIn, logWithoutTrace, traceDaemons } from '../support/netlink-trace.js';
import { renderedOf } from '../support/rendered.js';
import { elapse } from '../support/virtual-clock.js';

// Whatever the API server does, the kernel comes to be as `render` says, and a change costs what it costs without a fault. In
// virtual time: every patience is the real one.

const movedAddress = '10.96.0.20';
const stays = ['a', 'b', 'c', 'd', 'e'] as const;
const minute = 60_000;
let server: ApiServer;
let daemon: DaemonProcess;
let turn = 0;

/** The one thing that changes each time: the endpoint of a Service. */
const move = (): void => {
  turn += 1;
  server.put(sampleSlice('moved', [`10.244.0.${5 + (turn % 2)}`]));
};

const converges = async (milliseconds?: number): Promise<void> => {
  const wanted = renderedOf(server, 'n1');
  try {
    await eventually(() => assert.deepEqual(savedTable(), wanted), milliseconds);
  } catch (error) {
    console.log(logWithoutTrace(daemon.log).slice(-5_000));
    throw error;
  }
};

/** What it takes until the kernel is as it should be, as the commands that were sent; none about anything but what moves. */
const costOf = async (strike: () => void, wait = 0): Promise<readonly string[]> => {
  const from = daemon.log.length;
  strike();
  move();
  await elapse(wait);
  await converges(2 * minute);
  // What a fault might bring later: a list anew after a backoff, a look at what drains.
  await elapse(45_000);
  await converges();
  assert.equal(server.pendingFaults, 0, 'the fault has not struck');
  const sent = mutationsIn(daemon.log.slice(from));
  const strange = sent.filter(
    (line) => line.startsWith('ipvs ') && !line.includes(`address=${movedAddress} `),
  );
  assert.deepEqual(strange, []);
  return sent.map((line) => line.slice(0, line.indexOf(' {'))).toSorted();
};

/** Everybody has to list again: what they have is forgotten. */
const forget = (): void => {
  server.put(sampleNode('another', 'b'));
  server.compact();
  server.dropConnections();
};

before(async () => {
  traceDaemons();
  server = await ApiServer.start();
  for (const [index, name] of stays.entries())
    server.put(
      sampleService(name, { clusterIP: `10.96.0.1${index}`, clusterIPs: [`10.96.0.1${index}`] }),
      sampleSlice(name, ['10.244.0.1', '10.244.0.2']),
    );
  server.put(
    sampleService('moved', { clusterIP: movedAddress, clusterIPs: [movedAddress] }),
    sampleSlice('moved', ['10.244.0.5']),
    sampleNode('n1', 'a'),
  );
  daemon = new DaemonProcess([`--master=${server.url}`, '--hostname-override=n1']);
  await converges();
});
after(async () => {
  assert.equal(await daemon.stop(), 0, logWithoutTrace(daemon.log));
  await server[Symbol.asyncDispose]();
});

let usual: readonly string[];

test('without a fault', async () => {
  usual = await costOf(() => {});
  assert.ok(usual.includes('ipvs newDestination') && usual.includes('ipvs deleteDestination'), usual.join());
});

const statuses: readonly Fault[] = [
  { fault: 'status', status: 500 },
  { fault: 'status', status: 500, retryAfterSeconds: 7 },
  { fault: 'status', status: 429, reason: 'TooManyRequests', retryAfterSeconds: 20 },
  { fault: 'status', status: 502, html: true },
  { fault: 'status', status: 410, reason: 'Expired' },
  { fault: 'status', status: 504, reason: 'Timeout', tooLargeVersion: true },
];
const refusals: readonly Fault[] = [
  ...statuses,
  { fault: 'refuse' },
  { fault: 'no-answer' },
  { fault: 'endless-line', after: 0, pieceBytes: 4 * 1024 * 1024 },
  { fault: 'slow', pieceBytes: 100, milliseconds: 200 },
];
const atPlace = (place: number): readonly Fault[] => [
  { fault: 'cut', after: place },
  { fault: 'reset', after: place },
  { fault: 'garbage', after: place },
  { fault: 'half-and-end', after: place },
  { fault: 'end', after: place },
  { fault: 'silence', after: place },
  { fault: 'error-event', after: place, status: 410, reason: 'Expired' },
  { fault: 'error-event', after: place, status: 500, reason: 'InternalError' },
];

/** How long nothing is to be expected: a stream that falls silent counts as dead when it should have ended. */
const patienceWith = ({ fault }: Fault, verb: Verb): number => {
  if (fault === 'silence') return verb === 'watch' ? 10 * minute : minute;
  return fault === 'no-answer' ? minute : 0;
};

const cases: readonly (readonly [Verb, readonly Fault[]])[] = [
  ['watch', [...refusals, ...atPlace(1)]],
  ['watchlist', statuses],
];

for (const [verb, faults] of cases)
  for (const fault of faults)
    test(`${verb}: ${JSON.stringify(fault)}`, async () => {
      const strike = (): void => {
        // Of the endless lines one is enough: they take long.
        const plan = fault.fault === 'endless-line' ? { resource: 'endpointslices' } : { times: 3 };
        server.fail({ verb, fault, ...plan });
        if (verb === 'watch') server.dropConnections();
        else forget();
      };
      assert.deepEqual(await costOf(strike, patienceWith(fault, verb)), usual);
    });
