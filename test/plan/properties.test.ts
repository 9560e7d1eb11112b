import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { render } from '../../src/plan/render/render.js';
import { renderContext } from '../../src/plan/render/render-context.js';
import { facts, serviceWithSlices } from '../support/arbitrary-cluster.js';
import { nodeFacts, settings } from '../support/objects.js';

const runs = { seed: 20_260_601, numRuns: 300 };

test('the order of slices does not matter', () => {
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

test('render never throws, and its result can be programmed', () => {
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
