import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConntrackClient } from '../../src/kernel/conntrack/client.js';
import { flowShape } from '../../src/kernel/conntrack/attributes.js';
import { Connection } from '../../src/netlink/connection.js';
import type { FlowQuery } from '../../src/model/flow.js';
import { doneBytes, FakeChannel, messageBytes } from '../support/fake-channel.js';
import { ip } from '../support/objects.js';

/** A flow as the kernel sends it; the attribute table itself does not write `reply`. */
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

/** A kernel before 5.8 ignores CTA_FILTER and sends every flow of the family. */
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

/** A kernel before 5.8 with 100,000 flows, half of them TCP, a hundred in each datagram as its buffer of 32 KiB has them. */
const busyKernel = (): FakeChannel =>
  new FakeChannel(([request]) => {
    const sequence = request?.sequence ?? 0;
    const flows = Array.from({ length: 100 }, (_, index) =>
      told(sequence, '10.96.0.10', 53, index % 2 === 0 ? 'UDP' : 'TCP'),
    );
    const datagram = Buffer.concat(flows);
    return [...Array.from({ length: 1_000 }, () => datagram), doneBytes(sequence)];
  });

test('a dump of 100,000 flows lets the event loop run after each 2 ms', async (context) => {
  // Each look at the clock finds half a millisecond gone, so that the number of turns does not depend on this machine.
  let clock = 0;
  context.mock.method(performance, 'now', () => (clock += 0.5));
  const channel = busyKernel();
  const receive = channel.receive.bind(channel);
  let turns = 0;
  let receivedInTurn = 0;
  let mostInTurn = 0;
  channel.receive = (buffer) => {
    receivedInTurn += 1;
    mostInTurn = Math.max(mostInTurn, receivedInTurn);
    return receive(buffer);
  };
  let isOver = false;
  const takeTurn = (): void => {
    turns += 1;
    receivedInTurn = 0;
    if (!isOver) setImmediate(takeTurn);
  };
  setImmediate(takeTurn);
  const client = ConntrackClient.open(Connection.open('netfilter', { channel: () => channel }));
  const flows = await client.flows(udp);
  isOver = true;
  assert.equal(flows.length, 50_000);
  assert.ok(mostInTurn <= 5, `${mostInTurn} datagrams without a turn`);
  assert.ok(turns > 1_000 / 5, `${turns} turns`);
});
