import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { DrainLab, pod, second, vip, web } from '../support/drain-lab.js';
import { runLine } from '../support/lab-guest.js';
import type { ServiceSpec } from '../support/objects.js';
import { elapse } from '../support/virtual-clock.js';

// What is wanted again while it drains is used again in its place: its connections and the kernel's counters tell.

const [external, another] = ['203.0.113.9', '203.0.113.10'];
const lab = new DrainLab();

before(() => lab.up());
afterEach(() => lab.leave());
after(() => lab.down());

/** Connections that the kernel has counted, by virtual server and real server: what is made anew counts from 0. */
const counted = async (): Promise<ReadonlyMap<string, number>> => {
  // The kernel sums its counters up every two seconds.
  await elapse(5 * second);
  const counts = new Map<string, number>();
  let virtual = '';
  for (const line of runLine('ip netns exec node ipvsadm -Ln --stats --exact').split('\n')) {
    const [first = '', second = '', third = ''] = line.trim().split(/\s+/);
    if (first === 'TCP') counts.set((virtual = second), Number(third));
    else if (first === '->' && virtual !== '') counts.set(`${virtual} ${second}`, Number(third));
  }
  return counts;
};

interface Case {
  readonly whole: readonly object[];
  readonly without: readonly object[];
  /** As `whole` where nothing is said. */
  readonly again?: readonly object[];
  /** Where connections are opened, and what of them drains. */
  readonly open: readonly (readonly [address: string, port: number])[];
  readonly drains: readonly string[];
}

const both: ServiceSpec = { externalIPs: [external, another] };
const twoPorts: ServiceSpec = { ports: ['http:80/TCP', 'admin:81/TCP'] };
const cases: Readonly<Record<string, Case>> = {
  'a Service whose addresses stand in another order': {
    whole: web([1], both),
    without: [],
    again: web([1], { externalIPs: [another, external] }),
    open: [
      [vip, 80],
      [external, 80],
      [another, 80],
    ],
    drains: [`${vip}:80 -r ${pod(1)}`, `${external}:80 -r ${pod(1)}`, `${another}:80 -r ${pod(1)}`],
  },
  'a port of a Service': {
    whole: web([1], twoPorts),
    without: web([1]),
    open: [
      [vip, 80],
      [vip, 81],
    ],
    drains: [`${vip}:81 -r ${pod(1)}`],
  },
  'an endpoint': {
    whole: web([1, 2]),
    without: web([2]),
    open: [
      [vip, 80],
      [vip, 80],
    ],
    drains: [`${vip}:80 -r ${pod(1)}`],
  },
};

const line = (drain: string, weight: number): string => `-a -t ${drain}:8080 -m -w ${weight}`;

const restarts = {
  '': { during: async () => {}, back: async (change: () => void) => change() },
  ', with a restart between': {
    during: async () => {
      await lab.stop();
      lab.start();
      await elapse(10 * second);
    },
    back: async (change: () => void) => change(),
  },
  ', with a daemon that was killed and is away when that happens': {
    during: async () => {
      assert.equal(await lab.daemon.stop('SIGKILL'), 'SIGKILL');
    },
    back: async (change: () => void) => {
      change();
      lab.start();
    },
  },
} as const;

for (const [what, { whole, without, again = whole, open, drains }] of Object.entries(cases))
  for (const [how, restart] of Object.entries(restarts))
    test(`${what} comes back in its place while it drains${how}`, async () => {
      lab.program(whole);
      for (const drain of drains) await lab.holds(line(drain, 1));
      const clients = [];
      for (const [address, port] of open) clients.push(await lab.connect(address, port));
      const before = await counted();
      lab.program(without);
      for (const drain of drains) await lab.holds(line(drain, 0));
      await restart.during();
      for (const client of clients) await lab.answers(client);
      await restart.back(() => lab.program(again));
      for (const drain of drains) await lab.holds(line(drain, 1));
      for (const client of clients) await lab.answers(client);
      const now = await counted();
      for (const server of drains.flatMap((drain) => [
        drain.split(' ')[0] ?? '',
        `${drain.replace('-r ', '')}:8080`,
      ])) {
        assert.ok((before.get(server) ?? 0) > 0, server);
        assert.equal(now.get(server), before.get(server), `${server}\n${lab.daemon.log}`);
      }
      assert.deepEqual((await lab.admin.plan()).operations, []);
    });
