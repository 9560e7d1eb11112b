import { Command, messageAttributes } from '../../src/kernel/ipvs/attributes.js';
import { requestsFor } from '../../src/kernel/nftables/requests.js';
import { addressRequest, createDummyRequest, getLinkRequest } from '../../src/kernel/rtnetlink/convert.js';
import type { IpAddress } from '../../src/base/ip.js';
import { ByteWriter } from '../../src/netlink/codec/bytes.js';
import { GenericFamily } from '../../src/netlink/generic-family.js';
import { writeMessage, type Request } from '../../src/netlink/message.js';
import { acknowledgementBytes, doneBytes, messageBytes } from './fake-channel.js';
import { writeAllAttributes } from './attribute-sets.js';
import { everything, sampleAddress, serviceElement, services } from './packet-rules.js';

const family = new GenericFamily(20, 1, messageAttributes, Command);

const fromRequest = (request: Request): Uint8Array => {
  const writer = new ByteWriter();
  writeMessage(writer, request, 5, 100);
  return writer.written().slice();
};

const counters = (make: (value: number) => number | bigint): Record<string, number | bigint> => ({
  connections: make(1),
  inPackets: make(2),
  outPackets: make(3),
  inBytes: 4n,
  outBytes: 5n,
  connectionsPerSecond: make(6),
  inPacketsPerSecond: make(7),
  outPacketsPerSecond: make(8),
  inBytesPerSecond: make(9),
  outBytesPerSecond: make(10),
});

/** What the kernel says of a virtual server or a real server. */
const observation = (values: Record<string, unknown>): Uint8Array =>
  messageBytes({
    type: 20,
    sequence: 9,
    flags: 2,
    body: (writer) => {
      writer.u32(0x0101);
      writeAllAttributes(writer, messageAttributes, values);
    },
  });

const statistics = { statistics: counters((value) => value), statistics64: counters(BigInt) };
const address = Uint8Array.of(10, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

/** Datagrams of every kind that we send and receive, for mutation. */
export const seedDatagrams = (): readonly Uint8Array[] => [
  fromRequest(createDummyRequest('kube-ipvs0')),
  fromRequest(getLinkRequest('lo')),
  fromRequest(
    addressRequest(2, { kind: 'bind-address', address: '10.96.0.1' as IpAddress, binding: 'address' }),
  ),
  fromRequest(
    addressRequest(2, { kind: 'unbind-address', address: 'fd00::1' as IpAddress, binding: 'address' }),
  ),
  fromRequest(family.request(Command.getConfig, { operation: () => '' }, () => ({ tcpSeconds: 900 }))),
  observation({
    service: {
      family: 'IPv4',
      protocol: 'TCP',
      address,
      port: 80,
      scheduler: 'sh',
      flags: { flags: 0x1b, mask: 0xffffffff },
      timeoutSeconds: 10800,
      netmask: Uint8Array.of(255, 255, 255, 255),
      persistenceEngine: 'sip',
      ...statistics,
    },
  }),
  observation({ service: { family: 'IPv6', fwmark: 7, scheduler: 'rr', ...statistics } }),
  observation({
    destination: {
      address,
      port: 8080,
      forwarding: 'tunnel',
      weight: 1,
      upperThreshold: 2,
      lowerThreshold: 1,
      family: 'IPv4',
      tunnelType: 'gue',
      tunnelPort: 6080,
      tunnelFlags: 1,
      activeConnections: 1,
      inactiveConnections: 2,
      persistentConnections: 3,
      ...statistics,
    },
  }),
  acknowledgementBytes({ type: 20, sequence: 3 }, 17),
  acknowledgementBytes({ type: 20, sequence: 3 }, 22, (writer) => {
    writer.u16(8);
    writer.u16(1);
    writer.bytes(new TextEncoder().encode('bad\0'));
    writer.u16(8);
    writer.u16(2);
    writer.u32(24);
  }),
  doneBytes(3),
  ...requestsFor({ kind: 'declare-table', declaration: everything('IPv4').declaration }).map(fromRequest),
  ...requestsFor({
    kind: 'add-elements',
    family: 'IPv4',
    table: 'kube-ipvs',
    set: services,
    elements: [80, 443].map((port) => serviceElement('IPv4', [sampleAddress.IPv4, 'TCP', port])),
  }).map(fromRequest),
];
