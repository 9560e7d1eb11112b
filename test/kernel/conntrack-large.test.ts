import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { ConntrackClient } from '../../src/kernel/conntrack/client.js';
import { ConntrackMessage, flowShape } from '../../src/kernel/conntrack/attributes.js';
import { Connection } from '../../src/netlink/connection.js';
import { CommandSocket } from '../../src/netlink/command-socket.js';
import { MessageFlag, Protocol } from '../../src/netlink/constants.js';
import type { Request } from '../../src/netlink/message.js';
import { ip } from '../support/objects.js';

const flowCount = 100_000;

/** One of each ten flows has port 53; all have clients of their own. */
const portOf = (index: number): number => (index % 10 === 0 ? 53 : 4_000);

/** Inserts a UDP flow that lives for ten minutes; the attribute table itself writes neither `reply` nor the timeout. */
const insertion = (index: number): Request => ({
  type: ConntrackMessage.new,
  flags: MessageFlag.create | MessageFlag.exclusive,
  operation: () => `insert flow ${index}`,
  shape: flowShape,
  write: (writer) => {
    const client = ip(`192.0.${2 + (index >> 15)}.${1 + ((index >> 8) & 0x7f)}`);
    const virtual = ip('10.96.0.10');
    const sourcePort = 10_000 + (index & 0xff);
    const protocol = { number: 'UDP', sourcePort, destinationPort: portOf(index) } as const;
    flowShape.write(
      writer,
      { family: 'ip' },
      { original: { addresses: { source4: client, destination4: virtual }, protocol } },
    );
    const start = writer.length;
    const back = { number: 'UDP', sourcePort: portOf(index), destinationPort: sourcePort } as const;
    flowShape.attributes.write(writer, {
      original: { addresses: { source4: virtual, destination4: client }, protocol: back },
    });
    // CTA_TUPLE_REPLY instead of CTA_TUPLE_ORIG
    writer.setU16(start + 2, 0x8002);
    // CTA_TIMEOUT
    writer.u16(8);
    writer.u16(7);
    writer.be32(600);
  },
});

test('reading a table of 100,000 flows lets the event loop run after each 2 ms', async (context) => {
  writeFileSync('/proc/sys/net/netfilter/nf_conntrack_max', String(2 * flowCount));
  // The kernel refuses flows of one bucket beyond a limit (ENOSPC).
  writeFileSync('/proc/sys/net/netfilter/nf_conntrack_buckets', String(2 * flowCount));
  const writing = Connection.open('netfilter');
  const outcomes = await writing.batch(
    Array.from({ length: flowCount }, (_, index) => index),
    insertion,
  );
  writing.close();
  const failed = outcomes.find(({ status }) => status !== 'applied');
  assert.equal(failed, undefined);

  // Each look at the clock finds half a millisecond gone, so that the number of turns does not depend on this machine.
  let clock = 0;
  context.mock.method(performance, 'now', () => (clock += 0.5));
  const socket = new CommandSocket(Protocol.netfilter, 4 << 20);
  let turns = 0;
  let receivedInTurn = 0;
  let mostInTurn = 0;
  let received = 0;
  const receive = socket.receive.bind(socket);
  socket.receive = (buffer) => {
    received += 1;
    receivedInTurn += 1;
    mostInTurn = Math.max(mostInTurn, receivedInTurn);
    return receive(buffer);
  };
  const client = ConntrackClient.open(Connection.open('netfilter', { channel: () => socket }));
  let isOver = false;
  const takeTurn = (): void => {
    turns += 1;
    receivedInTurn = 0;
    if (!isOver) setImmediate(takeTurn);
  };
  setImmediate(takeTurn);
  const flows = await client.flows({ family: 'IPv4', protocol: 'UDP' });
  const receivedOfAll = received;
  await new Promise(setImmediate);
  const some = await client.flows({ family: 'IPv4', protocol: 'UDP', destinationPort: 53 });
  isOver = true;
  client.close();
  assert.equal(flows.length, flowCount);
  assert.equal(some.length, flowCount / 10);
  assert.ok(receivedOfAll > 100, `${receivedOfAll} datagrams`);
  assert.ok(mostInTurn <= 5, `${mostInTurn} datagrams without a turn`);
  assert.ok(turns > receivedOfAll / 5, `${turns} turns`);
  // The kernel itself leaves out the flows to other ports.
  assert.ok(received - receivedOfAll < receivedOfAll / 5, `${received - receivedOfAll} datagrams`);
});
