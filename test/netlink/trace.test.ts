import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { Command, messageAttributes } from '../../src/kernel/ipvs/attributes.js';
import { requestFor } from '../../src/kernel/ipvs/operation-request.js';
import { realServerKey } from '../../src/model/virtual-server.js';
import type { IpAddress } from '../../src/base/ip.js';
import { ByteWriter } from '../../src/netlink/codec/bytes.js';
import { GenericFamily } from '../../src/netlink/generic-family.js';
import { writeMessage } from '../../src/netlink/message.js';
import { describeDatagram } from '../../src/netlink/trace.js';
import { acknowledgementBytes, doneBytes, messageBytes } from '../support/fake-channel.js';

const family = new GenericFamily(30, 1, messageAttributes, Command);

test('a request is one line, annotated from the tables', () => {
  const address = '10.244.0.11' as IpAddress;
  const request = requestFor(family, {
    kind: 'add-real-server',
    of: { by: 'address', protocol: 'TCP', address: '10.96.0.10' as IpAddress, port: 80 },
    server: {
      key: realServerKey(address, 8080),
      address,
      port: 8080,
      weight: 1,
      forwarding: 'masquerade',
      upperThreshold: 0,
      lowerThreshold: 0,
    },
  });
  const writer = new ByteWriter();
  writeMessage(writer, request, 0x5, 42);
  assert.deepEqual(describeDatagram('sent', writer.written(), family.shapeOf), [
    '> seq 42 request|ack ipvs newDestination {command=5 version=1} {' +
      'service={family=IPv4 protocol=TCP address=10.96.0.10 port=80} ' +
      'destination={address=10.244.0.11 port=8080 forwarding=masquerade ' +
      'weight=1 upperThreshold=0 lowerThreshold=0 family=IPv4}}',
  ]);
});

test('answers are lines too, one for each message', () => {
  const datagram = Buffer.concat([
    acknowledgementBytes({ type: 30, sequence: 1 }, 0),
    acknowledgementBytes({ type: 30, sequence: 2 }, 17),
    doneBytes(3),
    messageBytes({ type: 99, sequence: 4, body: (writer) => writer.be32(0xdeadbeef) }),
  ]);
  assert.deepEqual(describeDatagram('received', datagram, family.shapeOf), [
    '< seq 1 0x100 error ok',
    '< seq 2 0x100 error EEXIST',
    '< seq 3 multi done ok',
    '< seq 4 none type 99 de ad be ef',
  ]);
});

test('bytes that are no message are shown as they are', () => {
  assert.deepEqual(describeDatagram('received', Uint8Array.of(1, 2), family.shapeOf), [
    '< <2 bytes are left, too few for a message> 01 02',
  ]);
});

const script = `
  const { RtnetlinkClient } = await import(${JSON.stringify(new URL('../../src/kernel/rtnetlink/client.js', import.meta.url).href)});
  await RtnetlinkClient.open({ routeMetric: 73 }).link('lo');
`;
const runTraced = (trace: string): string =>
  spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
    env: { ...process.env, KUBE_IPVS_TRACE: trace },
  }).stderr;

test('KUBE_IPVS_TRACE=netlink shows what is sent and received on standard error', () => {
  const lines = runTraced('other,netlink').trimEnd().split('\n');
  assert.equal(lines.length, 2, lines.join('\n'));
  assert.match(lines[0] ?? '', /^netlink route > seq 1 request get-link \{.*\} \{name="lo" filter=8\}$/);
  assert.match(lines[1] ?? '', /^netlink route < seq 1 none new-link \{.*index=1 .*\} \{name="lo" /);
});

test('without it nothing is shown', () => {
  assert.equal(runTraced(''), '');
});
