import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Operation } from '../../src/model/operation.js';
import { operationKey } from '../../src/model/operation.js';
import {
  sameRealServer,
  sameVirtualServer,
  type VirtualServerEntry,
} from '../../src/model/virtual-server.js';
import { diff, type ObservedView, type DirtyKeys, type DesiredView } from '../../src/plan/operations/diff.js';
import { mergeDirtyKeys } from '../support/dirty-keys.js';
import type { DrainSettings } from '../../src/plan/drain/drain-step.js';
import { phaseOperations, phases } from '../../src/plan/operations/phases.js';
import { render, renderContext } from '../../src/plan/render/render.js';
import {
  cluster,
  events,
  facts,
  renderSettings,
  serviceWithSlices,
  type ClusterEvent,
  type ServiceWithSlices,
} from '../support/arbitrary-cluster.js';
import { nodeFacts, settings } from '../support/objects.js';
import { SimulatedNode } from '../support/simulated-node.js';

const runs = { seed: 20_260_601, numRuns: 300 };

/** Nothing drains: what is not wanted is deleted at once. */
const atOnce: DrainSettings = { deadlines: { TCP: 0, UDP: 0, SCTP: 0 } };

const objectsOf = (parts: Iterable<ServiceWithSlices>) => {
  const list = [...parts];
  return { services: list.map(({ service }) => service), slices: list.flatMap(({ slices }) => slices) };
};

/** Plays the events on a node; gives what the cluster consists of at the end. */
const play = (
  node: SimulatedNode,
  sequence: readonly ClusterEvent[],
): ReadonlyMap<string, ServiceWithSlices> => {
  const present = new Map<string, ServiceWithSlices>();
  for (const [index, event] of sequence.entries()) {
    const now = index * 60_000;
    if (event.kind === 'put') {
      present.set(event.object.service.key, event.object);
      node.change(event.object.service.key, event.object.service, event.object.slices, now);
    } else if (event.kind === 'delete') {
      present.delete(event.key);
      node.change(event.key, undefined, [], now);
    } else if (event.kind === 'node') node.setContext(event.facts, undefined, now);
    else node.kernel.busy = event.flows;
    node.lookAtDraining(undefined, now);
  }
  return present;
};

const stateOf = (node: SimulatedNode) => ({
  lines: node.lines,
  addresses: node.addresses,
  problems: node.problems.toSorted(),
});

test('after any events the kernel is as if it had been programmed from scratch', () => {
  fc.assert(
    fc.property(events, (sequence) => {
      const node = new SimulatedNode(undefined, undefined, atOnce);
      const present = play(node, sequence);
      const scratch = new SimulatedNode(node.context.node, node.context.settings, atOnce);
      scratch.replace(objectsOf(present.values()));
      assert.deepEqual(stateOf(node), stateOf(scratch));
      assert.deepEqual(node.resync(), []);
    }),
    runs,
  );
});

test('so it is with draining, once the connections have gone; nothing that is wanted is ever without weight', () => {
  fc.assert(
    fc.property(events, (sequence) => {
      const node = new SimulatedNode();
      const present = play(node, sequence);
      for (const { server, realServers } of node.desired.virtualServers())
        for (const key of realServers.keys())
          assert.equal(node.kernel.virtualServer(server.key)?.realServers.get(key)?.weight, 1);
      node.kernel.busy = false;
      node.lookAtDraining(undefined, 0);
      const scratch = new SimulatedNode(node.context.node, node.context.settings);
      scratch.replace(objectsOf(present.values()));
      assert.deepEqual(stateOf(node), stateOf(scratch));
      assert.equal(node.draining.size, 0);
    }),
    runs,
  );
});

test('what drains is in the kernel with weight 0 and nowhere else, and the deadline ends it', () => {
  fc.assert(
    fc.property(events, (sequence) => {
      const node = new SimulatedNode();
      node.kernel.busy = true;
      play(
        node,
        sequence.filter(({ kind }) => kind !== 'traffic'),
      );
      const weightless = [...node.kernel.tables()].flatMap(({ server, realServers }) =>
        [...realServers.values()]
          .filter(({ weight }) => weight === 0)
          .map(({ key }) => `${server.key} ${key}`),
      );
      const draining = [...node.draining].flatMap(([key, servers]) =>
        [...servers.keys()].map((realServer) => `${key} ${realServer}`),
      );
      assert.deepEqual(draining.toSorted(), weightless.toSorted());
      node.lookAtDraining(undefined, sequence.length * 60_000 + 15 * 60_000);
      assert.equal(node.draining.size, 0);
      assert.ok(!node.lines.some((line) => line.includes('weight 0')));
    }),
    runs,
  );
});

const objectOf = (operation: Operation): string => {
  if ('address' in operation) return operation.address;
  if ('element' in operation) return operation.element.key;
  const target = operationKey(operation);
  return 'of' in operation ? `${target} → ${operation.server.key}` : target;
};

/** How many objects differ, counted apart from `diff`. */
const countDifferences = (wanted: DesiredView, observed: ObservedView, touched: DirtyKeys): number => {
  const realServersApart = (want: VirtualServerEntry, have: VirtualServerEntry | undefined): number => {
    const keys = new Set([...want.realServers.keys(), ...(have?.realServers.keys() ?? [])]);
    return [...keys].filter((key) => {
      const [a, b] = [want.realServers.get(key), have?.realServers.get(key)];
      return a === undefined || b === undefined || !sameRealServer(a, b);
    }).length;
  };
  let count = [...touched.addresses].filter(
    (address) => wanted.hasAddress(address) !== observed.hasAddress(address),
  ).length;
  count += [...touched.elements].filter((key) => {
    const [want, have] = [wanted.element(key), observed.element(key)];
    return want?.key !== have?.key || want?.chain !== have?.chain;
  }).length;
  for (const key of touched.virtualServers) {
    const [want, have] = [wanted.virtualServer(key), observed.virtualServer(key)];
    if (want === undefined || have === undefined || !sameVirtualServer(want.server, have.server))
      count += want === have ? 0 : 1;
    if (want !== undefined) count += realServersApart(want, have);
  }
  return count;
};

test('applying the difference of two clusters to the first gives the second, one operation an object that differs', () => {
  fc.assert(
    fc.property(
      cluster,
      facts,
      renderSettings,
      cluster,
      facts,
      renderSettings,
      (a, factsA, settingsA, b, factsB, settingsB) => {
        const node = new SimulatedNode(factsA, settingsA, atOnce);
        node.replace(objectsOf(a));
        const target = new SimulatedNode(factsB, settingsB, atOnce);
        target.replace(objectsOf(b));
        const [from, to] = [node.kernel.keys(), target.desired.keys()];
        const touched = mergeDirtyKeys([from, to]);
        const operations = diff(target.desired, node.kernel, touched, atOnce);
        assert.equal(operations.length, countDifferences(target.desired, node.kernel, touched));
        assert.equal(new Set(operations.map(objectOf)).size, operations.length);
        node.kernel.apply(phases(operations, target.desired.urgency).flatMap(phaseOperations));
        assert.deepEqual(node.lines, target.lines);
        assert.deepEqual(node.addresses, target.addresses);
        assert.deepEqual(node.elements, target.elements);
        assert.deepEqual(diff(target.desired, node.kernel, touched, atOnce), []);
      },
    ),
    runs,
  );
});

test('an address is bound after all that is served on it, and unbound when nothing is, or another interface has it', () => {
  fc.assert(
    fc.property(events, (sequence) => {
      const node = new SimulatedNode(undefined, undefined, atOnce);
      node.kernel.beforeOperation = (operation) => {
        if (operation.kind !== 'bind-address' && operation.kind !== 'unbind-address') return;
        const { address } = operation;
        const on = (tables: Iterable<VirtualServerEntry>) =>
          [...tables].filter(
            ({ server: { identity } }) => identity.by === 'address' && identity.address === address,
          );
        if (operation.kind === 'unbind-address')
          assert.ok(
            on(node.kernel.tables()).length === 0 || node.context.interfaceAddresses.has(address),
            address,
          );
        else
          for (const { server, realServers } of on(node.desired.virtualServers()))
            for (const key of realServers.keys())
              assert.ok(
                node.kernel.virtualServer(server.key)?.realServers.has(key),
                `${address} before ${key}`,
              );
      };
      play(node, sequence);
    }),
    runs,
  );
});

test('no address of another interface, no loopback and no link-local address is ever bound', () => {
  fc.assert(
    fc.property(cluster, facts, (objects, nodeFacts) => {
      const node = new SimulatedNode(nodeFacts);
      node.replace(objectsOf(objects));
      for (const address of node.kernel.addresses()) {
        assert.ok(!node.context.interfaceAddresses.has(address), address);
        assert.ok(!address.startsWith('127.') && !address.startsWith('fe80:'), address);
      }
    }),
    runs,
  );
});

test('the order of slices means nothing', () => {
  const context = renderContext(nodeFacts(), settings());
  fc.assert(
    fc.property(serviceWithSlices, ({ service, slices }) => {
      assert.deepEqual(render(service, slices.toReversed(), context), render(service, slices, context));
    }),
    runs,
  );
});

const odd = fc.oneof(
  fc.constantFrom<unknown>(undefined, NaN, -1, 0, 1.5, 65_536, 2 ** 53, '', 'ICMP', 'no such', Infinity),
  fc.string(),
);

test('render throws at nothing, and what it gives can be programmed', () => {
  const fields = [
    'scheduler',
    'affinitySeconds',
    'createdAt',
    'internalTrafficPolicy',
    'externalTrafficPolicy',
  ] as const;
  const portFields = ['name', 'protocol', 'port', 'nodePort'] as const;
  fc.assert(
    fc.property(
      serviceWithSlices,
      fc.constantFrom(...fields),
      fc.constantFrom(...portFields),
      odd,
      odd,
      facts,
      ({ service, slices }, field, portField, value, portValue, nodeFacts) => {
        const [port, ...ports] = service.ports;
        const spoilt = {
          ...service,
          [field]: value,
          ports: [{ ...port, [portField]: portValue }, ...ports],
        } as typeof service;
        const spoiltSlices = slices.map((slice) => ({
          ...slice,
          ports: slice.ports.map((slicePort) => ({
            ...slicePort,
            [portField]: portValue,
          })) as typeof slice.ports,
        }));
        const fragment = render(spoilt, spoiltSlices, renderContext(nodeFacts, settings()));
        for (const { server, realServers } of fragment.virtualServers.values()) {
          assert.ok(server.identity.by === 'address');
          for (const { port: number } of [server.identity, ...realServers.values()])
            assert.ok(Number.isInteger(number) && number > 0 && number < 65_536, server.key);
          assert.match(server.scheduler, /^[a-z0-9_-]{1,15}$/);
          assert.ok(['TCP', 'UDP', 'SCTP'].includes(server.identity.protocol));
          assert.ok(server.persistence === undefined || server.persistence.seconds > 0);
        }
        for (const { service: key, message } of fragment.problems)
          assert.ok(key === service.key && message.startsWith(`${key}: `));
      },
    ),
    { ...runs, numRuns: 1000 },
  );
});
