import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { commonMeanings, operationMeanings } from '../../src/apply/retry/decisions.js';
import type { Connect } from '../../src/daemon/kernel/kernel-access.js';
import { Connection } from '../../src/netlink/connection.js';
import { expectedKernelLines, putClusterState, type ClusterStateName } from '../support/cluster-states.js';
import { isLie, SocketFaults, type Aim, type Fault } from '../support/faulty-channel.js';
import { errnoNumber } from '../support/errnos.js';
import { runLine } from '../support/lab-guest.js';
import { KernelLines } from '../support/kernel-lines.js';
import { startInProcessWith, type InProcessDaemon } from '../support/in-process-daemon.js';
import { elapse } from '../support/virtual-clock.js';

const errnos = [
  ...new Set([
    ...Object.values(commonMeanings).flat(),
    ...Object.values(operationMeanings).flatMap((ofKind) => Object.keys(ofKind)),
    'EXDEV',
  ]),
].map(errnoNumber);
const allFaults: readonly Fault[] = ['lost', 'unsent', 'cut', 'twice', ...errnos];

const faults = new SocketFaults();
const connect: Connect = (protocol) => Connection.open(protocol, { channel: () => faults.channel(protocol) });
const delays = {
  retry: {
    soon: { firstMilliseconds: 2, maximumMilliseconds: 4 },
    later: { firstMilliseconds: 4, maximumMilliseconds: 8 },
  },
  syncRetry: { firstMilliseconds: 4, maximumMilliseconds: 8 },
};

const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));

const own = new KernelLines();
after(() => own[Symbol.dispose]());

const nodeAddresses = ['lo 127.0.0.1/8', 'lo ::1/128', 'eth0 192.0.2.10/24', 'eth0 2001:db8:1::10/64'];

let daemon: InProcessDaemon;

const put = (world: ClusterStateName): void => putClusterState(daemon.wired.store, world);

/** Everything is read again, as a resync does, and what was given up is tried. */
const resync = (): void => {
  daemon.wired.reconciler.retryGivenUp();
  daemon.wired.syncLoop.rereadAddresses();
  daemon.wired.packetRules.invalidate();
  daemon.wired.syncLoop.ipvsChanged();
};

const start = async (): Promise<void> => {
  daemon = await startInProcessWith({ connect, delays }, '--ipvs-sync-period=1h');
};

before(async () => {
  runLine('ip link add eth0 type dummy');
  runLine('ip link set eth0 up');
  runLine('ip address add 192.0.2.10/24 dev eth0');
  runLine('ip address add 2001:db8:1::10/64 dev eth0 nodad');
  await start();
  void daemon.wired.syncLoop.start();
});
after(async () => daemon[Symbol.asyncDispose]());

const lookedAgain: string[] = [];

/** Waits until the kernel is as `render` says; a resync comes to help where it has to, as it would. */
const converged = async (world: ClusterStateName, what: () => string): Promise<void> => {
  const expected = JSON.stringify(wanted[world]);
  for (let pause = 2, tries = 0; ; pause = Math.min(200, pause * 2), tries += 1) {
    await elapse(pause);
    const now = await own.lines();
    if (JSON.stringify(now) === expected) break;
    if (
      tries === 7 ||
      (tries > 0 && Object.values(daemon.wired.reconciler.givenUp).some((count) => count > 0))
    ) {
      lookedAgain.push(what());
      resync();
    }
    if (tries > 30) assert.deepEqual(now, wanted[world], what());
  }
  assert.deepEqual(unhandled, [], what());
};

const wanted = {
  empty: expectedKernelLines('empty', nodeAddresses),
  full: expectedKernelLines('full', nodeAddresses),
  changed: expectedKernelLines('changed', nodeAddresses),
  fewer: expectedKernelLines('fewer', nodeAddresses),
};

const steps = ['full', 'changed', 'fewer', 'look', 'empty'] as const;
type Step = (typeof steps)[number];

/** Messages of each step when nothing fails. */
const lengths = new Map<Step, number>();
/** The kinds of messages of each step. */
const kindsOf = new Map<Step, ReadonlySet<string>>();

/** Messages that change something; of those that read, some faults are tried unless all are asked for (KUBE_IPVS_ALL_FAULTS=1). */
const changing: ReadonlySet<string> = new Set([
  'ipvs 1',
  'ipvs 2',
  'ipvs 3',
  'ipvs 5',
  'ipvs 6',
  'ipvs 7',
  'route 20',
  'route 21',
  'netfilter 2572',
  'netfilter 2574',
]);
const isLong = process.env['KUBE_IPVS_ALL_FAULTS'] === '1';
const someFaults: readonly Fault[] = ['lost', 'unsent', 'cut', 'twice', 1, 4, 12, 16];
const faultsOf = (kind: string): readonly Fault[] =>
  (isLong || changing.has(kind) ? allFaults : someFaults).filter((fault) => !isLie(kind, fault));

/** By kind of message, the faults that struck it. */
const met = new Map<string, Set<Fault>>();

/** Of the faults that the kind has not met, the next; each kind begins with another, so that few runs meet all. */
const nextFault = (kind: string): Fault => {
  const known = met.get(kind) ?? new Set();
  met.set(kind, known);
  const begin = Number(/\d+/.exec(kind)?.[0] ?? 0) * 7;
  const possible = faultsOf(kind);
  for (let index = 0; index < possible.length; index += 1) {
    const fault = possible[(begin + index) % possible.length] ?? 'lost';
    if (!known.has(fault)) return fault;
  }
  return 'lost';
};

/** Does the step while messages fail, and waits for the kernel to be as it should be. */
const faulty = async (step: Step, aims: readonly Aim[], faultFor = nextFault): Promise<void> => {
  faults.aim(aims, (kind) => {
    const fault = faultFor(kind);
    met.set(kind, (met.get(kind) ?? new Set()).add(fault));
    return fault;
  });
  if (step === 'look') resync();
  else put(step);
  const world = step === 'look' ? 'fewer' : step;
  await converged(world, () => `${step}, ${JSON.stringify(aims)}: ${JSON.stringify(faults.struck)}`);
  if (step === 'look') await elapse(60);
};

/** So many messages fail in one step; one alone where all faults are asked for. */
const atOnce = isLong ? 1 : 5;

test('without faults everything is as render says', async () => {
  // The first time round the tables are made, too.
  for (const round of [1, 2])
    for (const step of steps) {
      faults.kinds.clear();
      await faulty(step, []);
      if (step === 'look') await elapse(300);
      lengths.set(step, Math.max(lengths.get(step) ?? 0, faults.position));
      if (round === 2) kindsOf.set(step, new Set(faults.kinds));
    }
  assert.deepEqual(lookedAgain, []);
});

test('whichever message fails, everything is as render says in the end', async () => {
  const strides = new Map([...lengths].map(([step, length]) => [step, Math.ceil(length / atOnce)]));
  for (let first = 0; first < Math.max(...strides.values()); first += 1)
    for (const step of steps) {
      const stride = strides.get(step) ?? 0;
      const positions = Array.from({ length: atOnce }, (_, index) => ({ position: first + index * stride }));
      // A step without a fault is needed only to come back.
      if (first < stride) await faulty(step, positions);
      else if (step === 'full' || step === 'empty') await faulty(step, []);
    }
});

test('whatever the kernel answers to whichever kind of message, everything is as render says in the end', async () => {
  const kinds = new Set([...kindsOf.values()].flatMap((ofStep) => [...ofStep]));
  const isMissing = (kind: string): boolean =>
    faultsOf(kind).some((fault) => met.get(kind)?.has(fault) !== true);
  for (let run = 0; run < (isLong ? 4_000 : 400) && [...kinds].some(isMissing); run += 1)
    for (const step of steps) {
      const missing = [...(kindsOf.get(step) ?? [])].filter(isMissing);
      const begin = run % Math.max(1, missing.length);
      const some = [...missing.slice(begin), ...missing.slice(0, begin)].slice(0, atOnce);
      await faulty(
        step,
        some.map((kind) => ({ kind })),
      );
    }
  assert.deepEqual(
    [...kinds].filter((kind) => faultsOf(kind).some((fault) => met.get(kind)?.has(fault) !== true)),
    [],
  );
  assert.deepEqual(
    [...changing].filter((kind) => !kinds.has(kind)),
    [],
  );
});

test('whichever message of a restart fails, the first sync is complete, and nothing of what stands is lost', async () => {
  await faulty('full', []);
  for (let position = 0; ; position += isLong ? 1 : 5) {
    await daemon[Symbol.asyncDispose]();
    await start();
    put('full');
    faults.aim([{ position }], nextFault);
    await daemon.wired.syncLoop.start();
    await converged('full', () => `restart, ${position}: ${JSON.stringify(faults.struck)}`);
    if (faults.struck.length === 0) break;
  }
  assert.ok(faults.position > 30, `only ${faults.position} messages`);
});
