import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConntrackClient } from '../../src/kernel/conntrack/client.js';
import { flowShape } from '../../src/kernel/conntrack/attributes.js';
import { Connection } from '../../src/netlink/connection.js';
import type { FlowQuery } from '../../src/model/flow.js';
import { doneBytes, FakeChannel, messageBytes } from '../support/fake-channel.js';
import { ip } from '../support/objects.js';

/** Address, port and protocol of two flows as a kernel tells of them; `reply` is left out of the tables' own writing. */
const told = (sequence: number, destination: string, destinationPort: number, number: 'TCP' | 'UDP') =>
  messageBytes({
    type: 0x100,
    sequence,
    flags: 0x2,
    body: (writer) => {
      const original = {
        addresses: { source4: ip('192.0.2.2'), destination4: ip(destination) },
        protocol: { number, sourcePort: 4000, destinationPort },
      };
      flowShape.write(writer, { family: 'ip' }, { original, id: 7 });
      // CTA_TUPLE_REPLY, with the bytes of CTA_TUPLE_ORIG.
      const start = writer.length;
      flowShape.attributes.write(writer, { original });
      writer.setU16(start + 2, 0x8002);
    },
  });

/** A kernel before 5.8: of CTA_FILTER it knows nothing, and tells of every flow of the family. */
const olderKernel = (): ConntrackClient =>
  ConntrackClient.open(
    Connection.open('netfilter', {
      channel: () =>
        new FakeChannel(([request]) => {
          const sequence = request?.sequence ?? 0;
          return [
            told(sequence, '10.96.0.10', 53, 'UDP'),
            told(sequence, '10.96.0.10', 54, 'UDP'),
            told(sequence, '10.96.0.11', 53, 'UDP'),
            told(sequence, '10.96.0.10', 53, 'TCP'),
            doneBytes(sequence),
          ];
        }),
    }),
  );

const udp = { family: 'IPv4', protocol: 'UDP' } as const;
const rows: readonly [FlowQuery, readonly string[]][] = [
  [udp, ['10.96.0.10:53', '10.96.0.10:54', '10.96.0.11:53']],
  [{ ...udp, destination: ip('10.96.0.10') }, ['10.96.0.10:53', '10.96.0.10:54']],
  [{ ...udp, destinationPort: 53 }, ['10.96.0.10:53', '10.96.0.11:53']],
  [{ ...udp, protocol: 'TCP' }, ['10.96.0.10:53']],
  [{ ...udp, family: 'IPv6' }, []],
];
for (const [query, expected] of rows)
  test(`on a kernel that does not choose, we do: ${JSON.stringify(query)}`, async () => {
    const flows = await olderKernel().flows(query);
    assert.deepEqual(
      flows.map(({ original }) => `${original.destination}:${original.destinationPort}`),
      expected,
    );
  });
