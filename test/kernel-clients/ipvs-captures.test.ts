import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { IpvsClient } from '../../src/kernel/ipvs/client.js';
import type { IpvsOperation } from '../../src/model/operation.js';
import {
  virtualServerKey,
  type RealServer,
  type RealServerObservation,
  type VirtualServer,
  type VirtualServerIdentity,
} from '../../src/model/virtual-server.js';
import { Connection } from '../../src/netlink/connection.js';
import { NetlinkError, ProtocolError } from '../../src/netlink/errors.js';
import type { Message } from '../../src/netlink/message.js';
import {
  captureNames,
  flatten,
  messagesIn,
  readCapture,
  replay,
  type FlatMessage,
} from '../support/captures.js';
import { at, real, virtual } from '../support/virtual-server-entries.js';
import { acknowledgementBytes, doneBytes, FakeChannel, messageBytes } from '../support/fake-channel.js';

const tcp = (address: string, port: number): VirtualServerIdentity => at('TCP', address, port);
const udp = (address: string, port: number): VirtualServerIdentity => at('UDP', address, port);
const sctp = (address: string, port: number): VirtualServerIdentity => at('SCTP', address, port);
const mark = (fwmark: number, family: 'IPv4' | 'IPv6'): VirtualServerIdentity => ({
  by: 'fwmark',
  fwmark,
  family,
});

const web4 = tcp('10.96.0.10', 80);
const web6 = tcp('2001:db8:96::10', 80);
const dns4 = udp('10.96.0.10', 53);

const add = (identity: VirtualServerIdentity, more: Partial<VirtualServer> = {}): IpvsOperation => ({
  kind: 'add-virtual-server',
  server: virtual(identity, more),
});
const edit = (identity: VirtualServerIdentity, more: Partial<VirtualServer> = {}): IpvsOperation => ({
  kind: 'update-virtual-server',
  server: virtual(identity, more),
});
const remove = (identity: VirtualServerIdentity): IpvsOperation => ({
  kind: 'delete-virtual-server',
  server: identity,
});
const addReal = (of: VirtualServerIdentity, server: RealServer): IpvsOperation => ({
  kind: 'add-real-server',
  of,
  server,
});
const editReal = (of: VirtualServerIdentity, server: RealServer): IpvsOperation => ({
  kind: 'update-real-server',
  of,
  server,
});
const removeReal = (of: VirtualServerIdentity, server: RealServer): IpvsOperation => ({
  kind: 'delete-real-server',
  of,
  server,
});

const pod = real('10.244.0.11', 8080);

/** What `ipvsadm` did in a capture, as an operation of ours. */
const operations: Readonly<Record<string, IpvsOperation>> = {
  'service-add-tcp4': add(web4),
  'service-add-tcp6': add(web6),
  'service-add-udp4': add(dns4, { scheduler: 'lc' }),
  'service-add-udp6': add(udp('2001:db8:96::10', 53)),
  'service-add-sctp4': add(sctp('10.96.0.10', 9999), { scheduler: 'wrr' }),
  'service-add-sctp6': add(sctp('2001:db8:96::10', 9999)),
  'service-add-mark4': add(mark(7, 'IPv4')),
  'service-add-mark6': add(mark(7, 'IPv6')),
  'service-add-existing': add(web4),
  'service-add-unknown-scheduler': add(web4, { scheduler: 'nosuch' }),
  'service-add-ops': add(dns4, { flags: ['ops'] }),
  'service-add-persistent': add(web4, { persistence: { seconds: 10800, prefixLength: 32 } }),
  'service-add-persistent-netmask4': add(web4, { persistence: { seconds: 360, prefixLength: 24 } }),
  'service-add-persistent-prefix6': add(web6, { persistence: { seconds: 360, prefixLength: 64 } }),
  'service-add-sh-port': add(web4, { scheduler: 'sh', flags: ['sh-port'] }),
  'service-add-sh-fallback': add(web4, { scheduler: 'sh', flags: ['sh-fallback'] }),
  'service-add-sh-both': add(web4, { scheduler: 'sh', flags: ['sh-fallback', 'sh-port'] }),
  'service-add-mh-port': add(web4, { scheduler: 'mh', flags: ['mh-port'] }),
  'service-add-mh-fallback': add(web4, { scheduler: 'mh', flags: ['mh-fallback'] }),
  'service-add-third-flag': add(web4, { flags: ['flag-3'] }),
  'service-edit-persistence': edit(web4, { persistence: { seconds: 600, prefixLength: 32 } }),
  'service-edit-scheduler': edit(web4, { scheduler: 'wlc' }),
  'service-edit-missing': edit(web4),
  'service-delete4': remove(web4),
  'service-delete6': remove(web6),
  'service-delete-mark4': remove(mark(7, 'IPv4')),
  'service-delete-missing': remove(web4),
  'server-add-masquerade4': addReal(web4, pod),
  'server-add-masquerade6': addReal(web6, real('2001:db8:244::11', 8080)),
  'server-add-direct': addReal(web4, real('10.244.0.11', 80, { forwarding: 'direct' })),
  'server-add-tunnel-ipip': addReal(web4, real('10.244.0.11', 80, { forwarding: 'tunnel' })),
  'server-add-mixed-family': addReal(web4, real('2001:db8:244::11', 80, { forwarding: 'tunnel' })),
  'server-add-to-mark': addReal(mark(7, 'IPv4'), real('10.244.0.11', 0, { forwarding: 'direct' })),
  'server-add-weight': addReal(web4, { ...pod, weight: 100 }),
  'server-add-weight-zero': addReal(web4, { ...pod, weight: 0 }),
  'server-add-thresholds': addReal(web4, { ...pod, upperThreshold: 200, lowerThreshold: 100 }),
  'server-add-existing': addReal(web4, pod),
  'server-add-no-service': addReal(web4, pod),
  'server-add-broadcast': addReal(web4, real('255.255.255.255', 80)),
  'server-edit-weight': editReal(web4, { ...pod, weight: 0 }),
  'server-edit-thresholds': editReal(web4, { ...pod, upperThreshold: 20, lowerThreshold: 10 }),
  'server-edit-missing': editReal(web4, { ...pod, weight: 2 }),
  'server-delete4': removeReal(web4, pod),
  'server-delete6': removeReal(web6, real('2001:db8:244::11', 8080)),
  'server-delete-missing': removeReal(web4, pod),
};

/** Captures of what we never do (daemons, flush, zero, other tunnels than ipip) or that are read below. */
const others = /^ipvs\/(daemon|flush|zero|list|start|timeouts|server-add-tunnel-g)/;

test('every capture is used', () => {
  const unused = captureNames('ipvs').filter(
    (name) => !others.test(name) && operations[name.replace('ipvs/', '')] === undefined,
  );
  assert.deepEqual(unused, []);
});

const flat = (message: Message | undefined): FlatMessage => {
  assert.ok(message !== undefined, 'a message was sent');
  return flatten(message, 4, ['1', '2']);
};

/** The message that a client sends for an operation, to a kernel whose family IPVS has the number 20. */
const sentFor = async (operation: IpvsOperation): Promise<FlatMessage> => {
  const channel = replay({ command: '', output: [], sent: [], received: [] });
  const client = IpvsClient.open(Connection.open('generic', { channel: () => channel }));
  await client.apply([operation]);
  return flat(channel.datagrams.at(-1)?.[0]);
};

/** Attributes that `ipvsadm` always sends and the kernel ignores there: the scheduler and so on where only the identity counts, and tunnel attributes that are zero. */
const ignored = (operation: IpvsOperation, path: string, value: string): boolean => {
  const changesVirtualServer =
    operation.kind === 'add-virtual-server' || operation.kind === 'update-virtual-server';
  if (/^1\.[6789]$/.test(path)) return !changesVirtualServer;
  if (/^2\.1[345]$/.test(path)) return /^0*$/.test(value);
  return operation.kind === 'delete-real-server' && /^2\.[3456]$/.test(path);
};

describe('each message is what ipvsadm sends, attribute for attribute', () => {
  for (const [name, operation] of Object.entries(operations))
    test(`${name}: ${readCapture(`ipvs/${name}`).command}`, async () => {
      const theirs = flat(messagesIn(readCapture(`ipvs/${name}`).sent[0] ?? new Uint8Array(0))[0]);
      const relevant = Object.fromEntries(
        Object.entries(theirs.attributes).filter(([path, value]) => !ignored(operation, path, value)),
      );
      assert.deepEqual(await sentFor(operation), { ...theirs, attributes: relevant });
    });
});

const refused: Readonly<Record<string, string>> = {
  'service-add-existing': 'EEXIST, the virtual server exists already',
  'service-add-unknown-scheduler': 'ENOENT, the kernel has no scheduler "nosuch"',
  'service-edit-missing': 'ESRCH, there is no such virtual server',
  'service-delete-missing': 'ESRCH, there is no such virtual server',
  'server-add-existing': 'EEXIST, the real server exists already',
  'server-add-no-service': 'ESRCH, there is no such virtual server',
  'server-add-broadcast':
    'EINVAL, the address is not one a real server can have here, or the network namespace has no local routes yet',
  'server-edit-missing': 'ENOENT, there is no such real server',
  'server-delete-missing': 'ENOENT, there is no such real server',
};

describe('the kernel’s refusals become outcomes by errno name', () => {
  for (const [name, expected] of Object.entries(refused))
    test(name, async () => {
      const operation = operations[name] as IpvsOperation;
      const answer = messagesIn(readCapture(`ipvs/${name}`).received[0] ?? new Uint8Array(0))[0];
      const errno = -(answer?.view.getInt32(answer.bodyOffset, true) ?? 0);
      const family = replay({ command: '', output: [], sent: [], received: [] });
      const channel = new FakeChannel((messages) => {
        const [message] = messages;
        if (message?.type !== 20) {
          family.send(rebuild(message));
          const buffer = new Uint8Array(200);
          return [buffer.slice(0, family.receive(buffer))];
        }
        return [acknowledgementBytes(message, errno)];
      });
      const client = IpvsClient.open(Connection.open('generic', { channel: () => channel }));
      const [outcome] = await client.apply([operation]);
      assert.ok(outcome?.status === 'failed', JSON.stringify(outcome));
      assert.equal(outcome.errno, expected.split(',')[0]);
      assert.ok(outcome.message.endsWith(`: ${expected}`), outcome.message);
    });
});

const rebuild = (message: Message | undefined): Uint8Array => {
  assert.ok(message !== undefined);
  const start = message.view.byteOffset + message.bodyOffset - 16;
  return new Uint8Array(message.view.buffer, start, 16 + message.bodyLength);
};

const replayed = (name: string): IpvsClient =>
  IpvsClient.open(Connection.open('generic', { channel: () => replay(readCapture(`ipvs/${name}`)) }));
const withoutStatistics = ({ statistics, ...rest }: { readonly statistics: unknown }): object => {
  assert.notEqual(statistics, undefined, 'statistics');
  return rest;
};

describe('what ipvsadm lists the client reads', () => {
  test('virtual servers', async () => {
    const servers = await replayed('list').virtualServers();
    assert.deepEqual(servers.map(withoutStatistics), [
      { ...virtual(web6), persistenceEngine: undefined },
      {
        ...virtual(dns4, {
          scheduler: 'sh',
          flags: ['sh-fallback', 'sh-port'],
          persistence: { seconds: 10800, prefixLength: 32 },
        }),
        persistenceEngine: undefined,
      },
      { ...virtual(web4), persistenceEngine: undefined },
      { ...virtual(mark(7, 'IPv4'), { scheduler: 'wlc' }), persistenceEngine: undefined },
    ]);
  });

  const idle = { activeConnections: 0, inactiveConnections: 0, persistentConnections: 0, tunnel: undefined };
  const lists: readonly (readonly [VirtualServerIdentity, readonly object[]])[] = [
    [
      web4,
      [
        { ...real('10.244.0.12', 80, { forwarding: 'direct', weight: 0 }), ...idle },
        { ...real('10.244.0.11', 8080, { weight: 3, upperThreshold: 200, lowerThreshold: 100 }), ...idle },
      ],
    ],
    [dns4, [{ ...real('10.244.0.11', 53), ...idle, inactiveConnections: 3, persistentConnections: 1 }]],
    [web6, [{ ...real('2001:db8:244::11', 8080), ...idle }]],
    [
      mark(7, 'IPv4'),
      [
        {
          ...real('10.244.0.13', 0, { forwarding: 'tunnel' }),
          ...idle,
          tunnel: { type: 'ipip', port: 0, flags: 0 },
        },
      ],
    ],
  ];
  for (const [identity, expected] of lists)
    test(`real servers of ${virtualServerKey(identity)}`, async () => {
      const servers: readonly RealServerObservation[] = await replayed('list').realServers(identity);
      assert.deepEqual(servers.map(withoutStatistics), expected);
    });

  test('statistics, which ipvsadm prints as 64 bits', async () => {
    const capture = readCapture('ipvs/list-stats');
    const line = capture.output.find((text) => text.startsWith('UDP  10.96.0.10:53')) ?? '';
    const [connections, inPackets, outPackets, inBytes, outBytes] = line.split(/\s+/).slice(2).map(BigInt);
    const servers = await replayed('list-stats').virtualServers();
    const found = servers.find((server) => server.key === virtualServerKey(dns4))?.statistics;
    assert.ok((found?.connections ?? 0n) > 0n, 'there was traffic');
    assert.deepEqual(
      [found?.connections, found?.inPackets, found?.outPackets, found?.inBytes, found?.outBytes],
      [connections, inPackets, outPackets, inBytes, outBytes],
    );
  });

  test('an empty table', async () => {
    assert.deepEqual(await replayed('list-empty').virtualServers(), []);
  });

  test('many virtual servers over several datagrams', async () => {
    const capture = readCapture('ipvs/list-many');
    const listed = capture.output.flatMap((line) => /^TCP {2}(\S+) /.exec(line)?.[1] ?? []);
    const servers = await replayed('list-many').virtualServers();
    assert.ok(listed.length >= 40);
    assert.deepEqual(servers.map((server) => server.key.replace('TCP ', '')).toSorted(), listed.toSorted());
  });

  test('timeouts', async () => {
    assert.deepEqual(await replayed('timeouts-get').timeouts(), {
      tcpSeconds: 900,
      tcpFinSeconds: 120,
      udpSeconds: 300,
    });
  });

  test('setting timeouts sends what ipvsadm --set sends', async () => {
    await replayed('timeouts-set').setTimeouts({ tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 });
    await replayed('timeouts-set-some').setTimeouts({ tcpSeconds: 0, tcpFinSeconds: 0, udpSeconds: 42 });
  });

  test('version and size of the connection table', async () => {
    const { sent, received } = readCapture('ipvs/start');
    // IPVS_CMD_GET_INFO and IPVS_CMD_SET_INFO, among the looks for the family.
    const about = (datagrams: readonly Uint8Array[], command: number): Uint8Array[] =>
      datagrams.filter((bytes) =>
        messagesIn(bytes).some((message) => message.type === 20 && bytes[16] === command),
      );
    const channel = replay({
      command: '',
      output: [],
      sent: about(sent, 15).slice(0, 1),
      received: about(received, 14).slice(0, 1),
    });
    const client = IpvsClient.open(Connection.open('generic', { channel: () => channel }));
    assert.deepEqual(await client.info(), { version: '1.2.1', connectionTableSize: 4096 });
  });

  test('other tunnels than ipip', async () => {
    const sent = readCapture('ipvs/server-add-tunnel-gue').sent[0] ?? new Uint8Array(0);
    const { attributes } = flat(messagesIn(sent)[0]);
    assert.deepEqual([attributes['2.13'], attributes['2.14'], attributes['2.15']], ['01', '17c0', '0000']);
  });
});

test('an answer that lacks the service is a ProtocolError that names it', async () => {
  const empty = messageBytes({ type: 20, sequence: 0, flags: 2, body: (writer) => writer.u32(0x0101) });
  const capture = { ...readCapture('ipvs/list-empty'), received: [empty, doneBytes(0)] };
  const client = IpvsClient.open(Connection.open('generic', { channel: () => replay(capture) }));
  await assert.rejects(
    client.virtualServers(),
    (error) => error instanceof ProtocolError && error.message === 'service: is missing',
  );
});

test('a kernel without IPVS: ENOENT, and the socket is closed', () => {
  const channel = new FakeChannel(([message]) =>
    message === undefined ? [] : [acknowledgementBytes(message, 2)],
  );
  assert.throws(
    () => IpvsClient.open(Connection.open('generic', { channel: () => channel })),
    (error) => error instanceof NetlinkError && error.errno === 'ENOENT',
  );
  assert.equal(channel.closed, true);
});
