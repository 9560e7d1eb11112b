import { defaultInstance } from '../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RtnetlinkClient } from '../../src/kernel/rtnetlink/client.js';
import { Connection } from '../../src/netlink/connection.js';
import { NetlinkError } from '../../src/netlink/errors.js';
import { controlFamily, ControlCommand, lookUpFamily } from '../../src/netlink/generic-family.js';
import type { Request } from '../../src/netlink/message.js';

const open = (): Connection => Connection.open('generic');
/** The controller has no such command: it answers EOPNOTSUPP. */
const failing: Request = controlFamily.request(99, { operation: () => 'fail' }, () => ({}));
const succeeding: Request = controlFamily.request(
  ControlCommand.getFamily,
  { operation: () => 'look' },
  () => ({ familyName: 'nlctrl' }),
);

describe('on the kernel of this machine', () => {
  test('the controller knows itself', () => {
    assert.equal(lookUpFamily(open(), 'nlctrl'), 0x10);
  });

  test('a family that does not exist is ENOENT', () => {
    assert.throws(
      () => lookUpFamily(open(), 'no-such-family'),
      (error) =>
        error instanceof NetlinkError &&
        error.errno === 'ENOENT' &&
        error.message.startsWith('find the generic netlink family no-such-family: ENOENT'),
    );
  });

  test('a dump of all families has the controller in it', () => {
    const all = controlFamily.request(ControlCommand.getFamily, { operation: () => 'list' }, () => ({}));
    const names = open()
      .dump(all)
      .map((message) => controlFamily.decode(message).familyName);
    assert.ok(names.includes('nlctrl'), names.join(', '));
  });

  test('5,000 failing messages in flight: each has its outcome, and the connection goes on', async () => {
    const connection = open();
    const outcomes = await connection.batch(Array.from({ length: 5000 }), () => failing);
    assert.equal(outcomes.length, 5000);
    const wrong = outcomes.filter((outcome) => outcome.status !== 'failed' || outcome.errno !== 'EOPNOTSUPP');
    assert.deepEqual(wrong.slice(0, 3), []);
    assert.ok(connection.sent.datagrams >= 10, `${connection.sent.datagrams} datagrams`);
    assert.equal(lookUpFamily(connection, 'nlctrl'), 0x10);
  });

  test('the same with the smallest receive buffer that there is', async () => {
    const connection = Connection.open('generic', { bufferBytes: 1 });
    const outcomes = await connection.batch(Array.from({ length: 5000 }), () => failing);
    assert.deepEqual(
      outcomes.filter((outcome) => outcome.status !== 'failed'),
      [],
    );
    assert.equal(lookUpFamily(connection, 'nlctrl'), 0x10);
  });

  test('a failing message does not stop those after it', async () => {
    // A GET answers with data, an answer that a batch has no use for and must not trip over.
    const outcomes = await open().batch([succeeding, failing, succeeding], (request) => request);
    assert.deepEqual(
      outcomes.map((outcome) => outcome.status),
      ['applied', 'failed', 'applied'],
    );
  });

  test('a closed connection fails with EBADF', () => {
    const connection = open();
    connection.close();
    connection.close();
    assert.throws(
      () => connection.execute(succeeding),
      (error) => error instanceof NetlinkError && error.errno === 'EBADF',
    );
  });

  test('the loopback device and its addresses are found', async () => {
    const client = RtnetlinkClient.open(defaultInstance);
    const loopback = await client.link('lo');
    assert.deepEqual(
      { ...loopback, up: true },
      { index: loopback?.index, name: 'lo', kind: undefined, up: true },
    );
    assert.deepEqual(
      (await client.links()).find((link) => link.name === 'lo'),
      loopback,
    );
    assert.equal(await client.link('no-such-link'), undefined);
    for (const address of await client.addresses()) assert.notEqual(address.interfaceName, '');
    client.close();
  });
});
