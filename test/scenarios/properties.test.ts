// Properties of the daemon's own composition over the fake kernel: whatever happens, in whatever order.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { IpAddress } from '../../src/base/ip.js';
import {
  sameRealServer,
  sameVirtualServer,
  type VirtualServerEntry,
  type VirtualServerKey,
} from '../../src/model/virtual-server.js';
import type { DesiredState } from '../../src/plan/desired-state.js';
import {
  cluster,
  events,
  facts,
  renderSettings,
  type ClusterEvent,
  type ServiceWithSlices,
} from '../support/arbitrary-cluster.js';
import { desiredText } from '../support/desired-kernel.js';
import { held, oracle, wanted } from '../support/node-oracle.js';
import { ProductionNode, type ProductionNodeOptions } from '../support/production-node.js';

const runs = { seed: 20_260_601, numRuns: 40 };
const minute = 60_000;

/** Nothing drains: what is not wanted is deleted at once. */
const atOnce = { drainDeadlines: { TCP: 0, UDP: 0, SCTP: 0 } };

const objectsOf = (parts: readonly ServiceWithSlices[]) => ({
  services: parts.map(({ service }) => service),
  slices: parts.flatMap(({ slices }) => slices),
});

const happen = async (node: ProductionNode, event: ClusterEvent): Promise<void> => {
  if (event.kind === 'put')
    await node.change(event.object.service.key, event.object.service, event.object.slices);
  else if (event.kind === 'delete') await node.change(event.key, undefined, []);
  else if (event.kind === 'node') await node.setFacts(event.facts);
  else node.kernel.ipvs.busy = event.flows;
};

/** Plays the events, one a minute. */
const play = async (node: ProductionNode, sequence: readonly ClusterEvent[]): Promise<void> => {
  for (const event of sequence) {
    await happen(node, event);
    await node.advance(minute);
  }
};

const withNode = async (
  options: ProductionNodeOptions,
  work: (node: ProductionNode) => Promise<void>,
): Promise<void> => {
  await using node = await ProductionNode.start(options);
  await work(node);
};

test('after any events the kernel is as if it had been programmed from scratch', async () => {
  await fc.assert(
    fc.asyncProperty(events, (sequence) =>
      withNode({ settings: atOnce }, async (node) => {
        await play(node, sequence);
        assert.deepEqual(held(node), wanted(oracle(node)));
        assert.deepEqual(await node.resync(), []);
      }),
    ),
    runs,
  );
});

const virtualServers = (node: ProductionNode): ReadonlyMap<VirtualServerKey, VirtualServerEntry> =>
  new Map(node.kernel.ipvs.tables().map((entry) => [entry.server.key, entry]));

test('with draining the kernel gets there once the connections have ended, and every wanted real server has weight 1', async () => {
  await fc.assert(
    fc.asyncProperty(events, (sequence) =>
      withNode({}, async (node) => {
        await play(node, sequence);
        const present = virtualServers(node);
        for (const { server, realServers } of oracle(node).virtualServers())
          for (const key of realServers.keys())
            assert.equal(present.get(server.key)?.realServers.get(key)?.weight, 1);
        node.kernel.ipvs.busy = false;
        await node.advance(minute);
        assert.deepEqual(held(node), wanted(oracle(node)));
      }),
    ),
    runs,
  );
});

test('while all real servers have connections, only those that no Service wants have weight 0, and only until the deadline', async () => {
  await fc.assert(
    fc.asyncProperty(events, (sequence) =>
      withNode({}, async (node) => {
        node.kernel.ipvs.busy = true;
        await play(
          node,
          sequence.filter(({ kind }) => kind !== 'traffic'),
        );
        const desired = oracle(node);
        for (const { server, realServers } of virtualServers(node).values())
          for (const { key, weight } of realServers.values())
            assert.equal(
              weight === 0,
              desired.virtualServer(server.key)?.realServers.has(key) !== true,
              `${server.key} ${key}`,
            );
        await node.advance(16 * minute);
        assert.deepEqual(held(node), wanted(desired));
      }),
    ),
    runs,
  );
});

/** The keys of what differs between two states, counted apart from the code that is tested. */
const differences = (
  before: ReadonlyMap<VirtualServerKey, VirtualServerEntry>,
  addressesBefore: readonly string[],
  desired: DesiredState,
): readonly string[] => {
  const after = new Map([...desired.virtualServers()].map((entry) => [entry.server.key, entry]));
  const { addresses } = desiredText(desired);
  const found: string[] = [];
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [have, want] = [before.get(key), after.get(key)];
    if (have === undefined || want === undefined || !sameVirtualServer(have.server, want.server))
      found.push(`virtual server ${key}`);
    if (want === undefined) continue;
    for (const real of new Set([...(have?.realServers.keys() ?? []), ...want.realServers.keys()])) {
      const [one, other] = [have?.realServers.get(real), want.realServers.get(real)];
      if (one === undefined || other === undefined || !sameRealServer(one, other))
        found.push(`real server ${key} → ${real}`);
    }
  }
  for (const address of new Set([...addressesBefore, ...addresses]))
    if (addressesBefore.includes(address) !== addresses.includes(address)) found.push(`address ${address}`);
  return found.toSorted();
};

/** `+ real server TCP 10.96.0.1:80 → 10.1.0.1:80 masquerade weight 1` is about `real server TCP 10.96.0.1:80 → 10.1.0.1:80`. */
const objectOf = (line: string): string =>
  /^. (address \S+|virtual server \w+ \S+|real server \w+ \S+ → \S+)/.exec(line)?.[1] ?? line;

test('another process with another cluster does one operation an object that differs', async () => {
  await fc.assert(
    fc.asyncProperty(
      cluster,
      facts,
      renderSettings,
      cluster,
      facts,
      (first, factsFirst, { scheduler, externalIpsAllowed }, second, factsSecond) =>
        withNode(
          { facts: factsFirst, settings: { ...atOnce, scheduler, externalIpsAllowed } },
          async (node) => {
            const rendered = { scheduler, externalIpsAllowed };
            await node.replace(objectsOf(first));
            assert.deepEqual(held(node), wanted(oracle(node, rendered)));
            await node.stop();
            const [before, addressesBefore] = [virtualServers(node), node.addresses];
            const done = await node.restart(objectsOf(second), factsSecond);
            const desired = oracle(node, rendered);
            assert.deepEqual(done.map(objectOf).toSorted(), differences(before, addressesBefore, desired));
            assert.deepEqual(held(node), wanted(desired));
          },
        ),
    ),
    runs,
  );
});

test('an address is bound after all that is served on it, and unbound when nothing is, or another interface has it', async () => {
  await fc.assert(
    fc.asyncProperty(events, (sequence) =>
      withNode({ settings: atOnce }, async (node) => {
        const violations: string[] = [];
        node.kernel.beforeChange = (operation) => {
          if (operation.kind !== 'bind-address' && operation.kind !== 'unbind-address') return;
          const { address } = operation;
          const isOn = ({ server: { identity } }: VirtualServerEntry): boolean =>
            identity.by === 'address' && identity.address === address;
          const present = virtualServers(node);
          if (operation.kind === 'unbind-address') {
            const isElsewhere = node.facts.addresses.some((one) => one.address === address);
            if (!isElsewhere && [...present.values()].some(isOn)) violations.push(`${address} unbound`);
            return;
          }
          for (const { server, realServers } of [...oracle(node).virtualServers()].filter(isOn))
            for (const key of realServers.keys())
              if (present.get(server.key)?.realServers.has(key) !== true)
                violations.push(`${address} before ${key}`);
        };
        await play(node, sequence);
        assert.deepEqual(violations, []);
      }),
    ),
    runs,
  );
});

test('no address of another interface, no loopback and no link-local address is ever bound', async () => {
  await fc.assert(
    fc.asyncProperty(cluster, facts, (objects, nodeFacts) =>
      withNode({ facts: nodeFacts }, async (node) => {
        const bound = new Set<IpAddress>();
        node.kernel.beforeChange = (operation) => {
          if (operation.kind === 'bind-address') bound.add(operation.address);
        };
        await node.replace(objectsOf(objects));
        for (const address of bound) {
          assert.ok(!nodeFacts.addresses.some((one) => one.address === address), address);
          assert.ok(!address.startsWith('127.') && !address.startsWith('fe80:'), address);
        }
      }),
    ),
    runs,
  );
});
