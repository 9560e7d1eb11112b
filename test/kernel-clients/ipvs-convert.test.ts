import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { ipFromBytes, type Family, type IpAddress } from '../../src/base/ip.js';
import { Command, messageAttributes } from '../../src/kernel/ipvs/attributes.js';
import { requestFor } from '../../src/kernel/ipvs/operation-request.js';
import {
  netmaskBytes,
  prefixLengthOf,
  realServerFrom,
  virtualServerFrom,
} from '../../src/kernel/ipvs/convert.js';
import { flagBits, flagWords } from '../../src/kernel/ipvs/flags.js';
import {
  realServerKey,
  virtualServerKey,
  type Forwarding,
  type RealServer,
  type VirtualServer,
  type VirtualServerFlag,
  type VirtualServerIdentity,
} from '../../src/model/virtual-server.js';
import { ByteWriter, viewOf } from '../../src/netlink/codec/bytes.js';
import { ProtocolError } from '../../src/netlink/errors.js';
import { GenericFamily } from '../../src/netlink/generic-family.js';
import { readMessages, writeMessage, type Message, type Request } from '../../src/netlink/message.js';

const family = new GenericFamily(30, 1, messageAttributes, Command);
const sent = (request: Request): ReturnType<typeof family.decode> => {
  const writer = new ByteWriter();
  writeMessage(writer, request, 1, 1);
  const bytes = writer.written();
  const [message] = [...readMessages(viewOf(bytes), bytes.length)];
  return family.decode(message as Message);
};

const families = fc.constantFrom<Family>('IPv4', 'IPv6');
const addressOf = (family: Family): fc.Arbitrary<IpAddress> => {
  const length = family === 'IPv4' ? 4 : 16;
  return fc.uint8Array({ minLength: length, maxLength: length }).map(ipFromBytes);
};
const port = fc.nat(0xffff);
const uint32 = fc.nat(0xffffffff);

const identities: fc.Arbitrary<VirtualServerIdentity> = families.chain((family) =>
  fc.oneof(
    fc.record(
      {
        by: fc.constant('address' as const),
        protocol: fc.constantFrom('TCP' as const, 'UDP' as const, 'SCTP' as const),
        address: addressOf(family),
        port,
      },
      { noNullPrototype: true },
    ),
    fc.record(
      {
        by: fc.constant('fwmark' as const),
        fwmark: fc.integer({ min: 1, max: 0xffffffff }),
        family: fc.constant(family),
      },
      { noNullPrototype: true },
    ),
  ),
);

const wordsOf: Readonly<Record<string, readonly VirtualServerFlag[]>> = {
  sh: ['flag-3', 'ops', 'sh-fallback', 'sh-port'],
  mh: ['flag-3', 'mh-fallback', 'mh-port', 'ops'],
  rr: ['flag-1', 'flag-2', 'flag-3', 'ops'],
};
const familyOfIdentity = (identity: VirtualServerIdentity): Family =>
  identity.by === 'fwmark' ? identity.family : identity.address.includes(':') ? 'IPv6' : 'IPv4';

const virtualServers: fc.Arbitrary<VirtualServer> = identities.chain((identity) =>
  fc.constantFrom('rr', 'sh', 'mh').chain((scheduler) =>
    fc.record(
      {
        key: fc.constant(virtualServerKey(identity)),
        identity: fc.constant(identity),
        scheduler: fc.constant(scheduler),
        persistence: fc.option(
          fc.record(
            {
              seconds: uint32,
              prefixLength: fc.nat(familyOfIdentity(identity) === 'IPv4' ? 32 : 128),
            },
            { noNullPrototype: true },
          ),
          { nil: undefined },
        ),
        flags: fc.subarray([...(wordsOf[scheduler] ?? [])]),
      },
      { noNullPrototype: true },
    ),
  ),
);

const realServers: fc.Arbitrary<RealServer> = families.chain((family) =>
  addressOf(family).chain((address) =>
    fc
      .record(
        {
          address: fc.constant(address),
          port,
          weight: uint32,
          forwarding: fc.constantFrom<Forwarding>('masquerade', 'local', 'tunnel', 'direct', 'bypass'),
          upperThreshold: uint32,
          lowerThreshold: uint32,
        },
        { noNullPrototype: true },
      )
      .map((server) => ({ ...server, key: realServerKey(server.address, server.port) })),
  ),
);

describe('what is sent is what is read back', () => {
  for (const kind of ['add-virtual-server', 'update-virtual-server'] as const)
    test(kind, () => {
      fc.assert(
        fc.property(virtualServers, (server) => {
          const { service } = sent(requestFor(family, { kind, server }));
          assert.ok(service !== undefined);
          const { statistics, persistenceEngine, ...read } = virtualServerFrom(service);
          assert.deepEqual(read, server);
          assert.deepEqual([statistics, persistenceEngine], [undefined, undefined]);
        }),
        { numRuns: 500 },
      );
    });

  for (const kind of ['add-real-server', 'update-real-server'] as const)
    test(kind, () => {
      fc.assert(
        fc.property(identities, realServers, (of, server) => {
          const { service, destination } = sent(requestFor(family, { kind, of, server }));
          assert.ok(service !== undefined && destination !== undefined);
          const read = realServerFrom(destination, of);
          assert.deepEqual(
            { ...server, ...read },
            {
              ...server,
              activeConnections: 0,
              inactiveConnections: 0,
              persistentConnections: 0,
              tunnel: undefined,
              statistics: undefined,
            },
          );
          // The scheduler is no part of the identity; a reader that wants it would fail here.
          assert.deepEqual(virtualServerFrom({ ...service, scheduler: 'rr' }).identity, of);
        }),
        { numRuns: 500 },
      );
    });
});

describe('netmasks', () => {
  test('every prefix length is read back', () => {
    for (let length = 0; length <= 32; length += 1)
      assert.equal(prefixLengthOf('IPv4', netmaskBytes('IPv4', length)), length);
    for (let length = 0; length <= 128; length += 1)
      assert.equal(prefixLengthOf('IPv6', netmaskBytes('IPv6', length)), length);
  });

  test('IPv4 masks are in network order', () => {
    assert.deepEqual([...netmaskBytes('IPv4', 20)], [255, 255, 240, 0]);
  });

  test('a mask with holes counts its ones', () => {
    assert.equal(prefixLengthOf('IPv4', Uint8Array.of(255, 0, 255, 1)), 17);
  });

  for (const [family, length] of [
    ['IPv4', 33],
    ['IPv6', 129],
    ['IPv4', -1],
    ['IPv4', 1.5],
  ] as const)
    test(`/${length} of ${family} is refused`, () => {
      assert.throws(() => netmaskBytes(family, length), ProtocolError);
    });
});

describe('flags', () => {
  test('a scheduler’s bits have its own words', () => {
    assert.deepEqual(flagWords(0x18, 'sh'), ['sh-fallback', 'sh-port']);
    assert.deepEqual(flagWords(0x18, 'mh'), ['mh-fallback', 'mh-port']);
    assert.deepEqual(flagWords(0x3c, 'wlc'), ['flag-1', 'flag-2', 'flag-3', 'ops']);
  });

  test('persistence and the kernel’s own bit are no words', () => {
    assert.deepEqual(flagWords(0x3, 'rr'), []);
  });

  test('the bits of the header', () => {
    assert.deepEqual(
      (
        ['ops', 'sh-fallback', 'sh-port', 'mh-fallback', 'mh-port', 'flag-1', 'flag-2', 'flag-3'] as const
      ).map((word) => flagBits([word])),
      [0x4, 0x8, 0x10, 0x8, 0x10, 0x8, 0x10, 0x20],
    );
  });
});

describe('what older and newer kernels say', () => {
  const counters = {
    connections: 1,
    inPackets: 2,
    outPackets: 3,
    inBytes: 4n,
    outBytes: 5n,
    connectionsPerSecond: 6,
    inPacketsPerSecond: 7,
    outPacketsPerSecond: 8,
    inBytesPerSecond: 9,
    outBytesPerSecond: 10,
  };
  const wide = { ...counters, connections: 1n << 40n };
  const service = { family: 'IPv4', fwmark: 7, scheduler: 'rr' } as const;
  const of: VirtualServerIdentity = { by: 'fwmark', fwmark: 7, family: 'IPv6' };
  const destination = { port: 80, weight: 1, forwarding: 'masquerade' } as const;

  test('statistics of 32 bits are taken where there are no others', () => {
    const statistics = virtualServerFrom({ ...service, statistics: counters }).statistics;
    assert.equal(Object.values(statistics ?? {}).join(), '1,2,3,4,5,6,7,8,9,10');
  });

  test('statistics of 64 bits win', () => {
    const statistics64 = Object.fromEntries(
      Object.entries(wide).map(([name, value]) => [name, BigInt(value)]),
    ) as NonNullable<Parameters<typeof virtualServerFrom>[0]['statistics64']>;
    const { statistics } = virtualServerFrom({ ...service, statistics: counters, statistics64 });
    assert.equal(statistics?.connections, 1n << 40n);
  });

  test('without a family, a real server has its virtual server’s', () => {
    const address = Uint8Array.from(Buffer.from('fd000000000000000000000000000001', 'hex'));
    assert.equal(realServerFrom({ ...destination, address }, of).address, 'fd00::1');
  });

  test('a persistence engine is told', () => {
    assert.equal(virtualServerFrom({ ...service, persistenceEngine: 'sip' }).persistenceEngine, 'sip');
  });

  const broken: readonly (readonly [string, () => unknown, string])[] = [
    [
      'a virtual server without a scheduler',
      () => virtualServerFrom({ family: 'IPv4', fwmark: 1 }),
      'service.scheduler',
    ],
    ['of an unknown family', () => virtualServerFrom({ ...service, family: undefined }), 'service.family'],
    [
      'without an address or mark',
      () => virtualServerFrom({ family: 'IPv4', scheduler: 'rr' }),
      'service.protocol',
    ],
    [
      'a real server with a short IPv6 address',
      () => realServerFrom({ ...destination, address: new Uint8Array(4) }, of),
      'destination.address',
    ],
  ];
  for (const [name, action, path] of broken)
    test(`refused: ${name}`, () => {
      assert.throws(action, (error) => error instanceof ProtocolError && error.path === path);
    });
});
