import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { bodyFormat, type BodySplitter } from '../../../src/watch/api/body-format.js';
import { BrokenStream } from '../../../src/watch/api/json-lines.js';
import { toEndpointSlice, toNode, toService } from '../../../src/watch/objects/parse-objects.js';
import { MalformedObject } from '../../../src/watch/objects/schemas.js';
import {
  entries,
  MessageReader,
  MessageType,
  single,
  text,
  type FieldType,
} from '../../../src/watch/protobuf/message.js';
import { shared } from '../../../src/watch/protobuf/shared.js';
import type { ApiObject } from '../../support/api-objects.js';
import { encodeEvent, encodeList, encodeObject, protobufType } from '../../support/api-protobuf.js';
import { sampleNode, sampleService, sampleSlice } from '../../support/api-samples.js';

const format = bodyFormat(`${protobufType};stream=watch`);

const service = sampleService('web', {
  type: 'LoadBalancer',
  clusterIPs: ['10.96.0.10', 'fd00::10'],
  ipFamilies: ['IPv4', 'IPv6'],
  ports: [
    { name: 'http', protocol: 'TCP', port: 80, targetPort: 8080, nodePort: 30_080 },
    { name: 'dns', protocol: 'UDP', port: 53, targetPort: 'dns', nodePort: 30_053 },
  ],
  externalIPs: ['192.0.2.7'],
  loadBalancerSourceRanges: ['198.51.100.0/24'],
  sessionAffinity: 'ClientIP',
  sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } },
  externalTrafficPolicy: 'Local',
  healthCheckNodePort: 31_000,
});
const web: ApiObject = {
  ...service,
  metadata: {
    ...service.metadata,
    uid: 'f7a5c6f0-1111-4222-8333-444444444444',
    creationTimestamp: '2026-11-22T18:00:00Z',
    annotations: { 'ipvs.kube-ipvs.dev/scheduler': 'lc', 'ipvs.kube-ipvs.dev/flag': 'x', other: 'x' },
  },
  status: {
    loadBalancer: {
      ingress: [
        { ip: '203.0.113.9', ipMode: 'VIP' },
        { ip: '203.0.113.10', ipMode: 'Proxy' },
      ],
    },
  },
};
const slice = sampleSlice('web', ['10.244.0.11', '10.244.0.12']);
const webSlice: ApiObject = {
  ...slice,
  metadata: {
    ...slice.metadata,
    annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': '2026-11-22T18:00:00Z' },
  },
  endpoints: [
    {
      addresses: ['10.244.0.11'],
      conditions: { ready: false, serving: true, terminating: true },
      nodeName: 'node-1',
      zone: 'a',
      targetRef: { kind: 'Pod', namespace: 'default', name: 'web-1' },
      hints: { forZones: [{ name: 'a' }], forNodes: [{ name: 'node-1' }] },
    },
    { addresses: ['10.244.0.12'] },
  ],
};
const node: ApiObject = {
  ...sampleNode('node-1', 'a'),
  spec: {
    podCIDR: '10.244.0.0/24',
    podCIDRs: ['10.244.0.0/24'],
    taints: [{ key: 'x', effect: 'NoSchedule' }],
  },
};

const decode = (object: ApiObject): unknown => format.object(encodeObject(object));

test('objects are read from protobuf as from JSON', () => {
  assert.deepEqual(toService(decode(web)), toService(web));
  assert.deepEqual(toEndpointSlice(decode(webSlice)), toEndpointSlice(webSlice));
  assert.deepEqual(toNode(decode(node)), toNode(node));
  // The API server leaves out a field with a default only where the type has a pointer.
  assert.deepEqual(toService(decode(sampleService('plain'))), toService(sampleService('plain')));
});

test('invalid values of decoded objects are found as in JSON', () => {
  const withPort = (port: number) =>
    sampleService('web', { ports: [{ name: 'http', protocol: 'TCP', port }] });
  const invalid: readonly (readonly [object: ApiObject, read: (object: unknown) => unknown])[] = [
    [withPort(70_000), toService],
    [sampleService('web', { internalTrafficPolicy: 'Nowhere' }), toService],
    [{ ...service, metadata: { ...service.metadata, name: 'a/b' } }, toService],
    [{ ...slice, ports: [{ name: 'http', protocol: 'TCP', port: -1 }] }, toEndpointSlice],
    [{ ...slice, metadata: { ...slice.metadata, namespace: 'a b' } }, toEndpointSlice],
  ];
  for (const [object, read] of invalid) {
    const problem = problemOf(() => read(object));
    assert.equal(
      problemOf(() => read(decode(object))),
      problem,
    );
  }
});

/** What a MalformedObject says. */
const problemOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof MalformedObject) return error.message;
    throw error;
  }
  assert.fail('it was read');
};

/** All parts that a splitter yields when the body arrives in these pieces. */
const partsOf = (splitter: BodySplitter, pieces: readonly Buffer[]): readonly unknown[] =>
  pieces.flatMap((piece) => [...splitter.push(piece)]);

const events = [
  encodeEvent({ type: 'ADDED', object: web }),
  encodeEvent({ type: 'MODIFIED', object: webSlice }),
  encodeEvent({ type: 'DELETED', object: node }),
];
const list = encodeList(
  { kind: 'ServiceList', apiVersion: 'v1', metadata: { resourceVersion: '7', continue: 'c' } },
  [web, sampleService('plain')],
);
const stream = Buffer.concat(events);
const listBody = Buffer.concat([...list.parts, list.end]);

test('events and items are whole wherever the body is cut', () => {
  const expectedEvents = partsOf(format.events(), [stream]);
  const expectedItems = partsOf(format.list(), [listBody]);
  assert.deepEqual(
    expectedEvents.map((event) => (event as { readonly type: string }).type),
    ['ADDED', 'MODIFIED', 'DELETED'],
  );
  assert.equal(expectedItems.length, 2);
  for (let at = 0; at <= stream.length; at += 1) {
    const splitter = format.events();
    assert.deepEqual(partsOf(splitter, [stream.subarray(0, at), stream.subarray(at)]), expectedEvents);
    splitter.finish();
  }
  for (let at = 0; at <= listBody.length; at += 1) {
    const splitter = format.list();
    assert.deepEqual(partsOf(splitter, [listBody.subarray(0, at), listBody.subarray(at)]), expectedItems);
    const { metadata } = splitter.finish() as { readonly metadata: { readonly resourceVersion: string } };
    assert.equal(metadata.resourceVersion, '7');
  }
  const bytes = Array.from(listBody, (byte) => Buffer.from([byte]));
  assert.deepEqual(partsOf(format.list(), bytes), expectedItems);
});

test('a body that ends early is broken, and what was complete before is not lost', () => {
  const first = events[0]?.length ?? 0;
  const second = first + (events[1]?.length ?? 0);
  for (let end = 1; end < stream.length; end += 1) {
    const splitter = format.events();
    const got = partsOf(splitter, [stream.subarray(0, end)]);
    assert.equal(got.length, Number(end >= first) + Number(end >= second));
    if (end !== first && end !== second) assert.throws(() => splitter.finish(), BrokenStream);
  }
  for (let end = 0; end < listBody.length - list.end.length; end += 1) {
    const splitter = format.list();
    partsOf(splitter, [listBody.subarray(0, end)]);
    assert.throws(() => splitter.finish(), BrokenStream, String(end));
  }
  for (let end = 0; end < 60; end += 1)
    assert.throws(() => format.object(encodeObject(web).subarray(0, end)), BrokenStream);
});

test('each damaged byte is a broken stream or another value, never another error', () => {
  for (const [body, splitterOf] of [
    [stream, () => format.events()],
    [listBody, () => format.list()],
  ] as const)
    for (let at = 0; at < body.length; at += 1)
      for (const bit of [0x01, 0x08, 0x80]) {
        const damaged = Buffer.from(body);
        damaged[at] = (damaged[at] ?? 0) ^ bit;
        const splitter = splitterOf();
        try {
          partsOf(splitter, [damaged]);
          splitter.finish();
        } catch (error) {
          assert.ok(error instanceof BrokenStream, String(error));
        }
      }
});

test('what no API server sends is refused with what is wrong', () => {
  const message = (body: Buffer, splitter: BodySplitter): string => {
    try {
      partsOf(splitter, [body]);
      splitter.finish();
    } catch (error) {
      return String(error);
    }
    return '';
  };
  assert.match(message(Buffer.from('{"items":[]}'), format.list()), /does not begin with "k8s"/);
  const secret = encodeEvent({ type: 'ADDED', object: { kind: 'Secret' } });
  assert.match(message(secret, format.events()), /unexpected kind "Secret"/);
  const huge = Buffer.alloc(20 * 1024 * 1024, 'x');
  huge.writeUInt32BE(0x7fff_ffff);
  assert.match(message(huge, format.events()), /an object of more than 16777216 bytes/);
});

test('a field that is longer than its message is refused', () => {
  const type = new MessageType({ 1: single('inner', new MessageType({ 1: single('name', text) })) });
  const bytes = Buffer.from([0x0a, 3, 0x0a, 5, ...Buffer.from('abcde')]);
  assert.throws(() => type.decode(new MessageReader(bytes), bytes.length), /a field exceeds its message/);
});

/** A message with one map, of these entries; each is a list of fields. */
const decodeMap = (...given: readonly (readonly (readonly [field: number, value: string])[])[]): unknown => {
  const usedKey: FieldType<string | undefined> = {
    wireType: text.wireType,
    read: (reader) => [text.read(reader)].find((key) => key !== 'unused'),
  };
  const value: FieldType<string> = {
    wireType: text.wireType,
    read: (reader) => {
      const read = text.read(reader);
      assert.notEqual(read, 'manifest', 'the value of an unused key is not decoded');
      return read;
    },
  };
  const type = new MessageType({ 1: entries('labels', usedKey, value) });
  const message = new BinaryWriter();
  for (const fields of given) {
    const entry = new BinaryWriter();
    for (const [field, fieldText] of fields) entry.tag(field, WireType.LengthDelimited).string(fieldText);
    message.tag(1, WireType.LengthDelimited).bytes(entry.finish());
  }
  const bytes = Buffer.from(message.finish());
  return type.decode(new MessageReader(bytes), bytes.length);
};

test('only the used entries of a map are decoded, in whatever order their fields come', () => {
  const zone = [
    [1, 'zone'],
    [2, 'a'],
  ] as const;
  const unused = [
    [2, 'manifest'],
    [1, 'unused'],
    [3, 'unknown field'],
  ] as const;
  assert.deepEqual(decodeMap(zone, unused, [[1, 'empty']], zone.toReversed()), {
    labels: { zone: 'a', empty: '' },
  });
  assert.deepEqual(decodeMap(unused), { labels: undefined });
  assert.deepEqual(decodeMap([[2, 'without a key']]), { labels: undefined });
});

test('a key or value that is longer than its map entry is refused', () => {
  const type = new MessageType({ 1: entries('labels', text) });
  for (const tag of [0x0a, 0x12]) {
    const bytes = Buffer.from([0x0a, 4, tag, 5, ...Buffer.from('abcde')]);
    assert.throws(() => type.decode(new MessageReader(bytes), bytes.length), /a field exceeds its map entry/);
  }
});

test('unknown fields of every wire type are skipped', () => {
  const type = new MessageType({ 2: single('name', text) });
  const bytes = Buffer.from(
    new BinaryWriter()
      .tag(1, WireType.Varint)
      .int64(-1)
      .tag(3, WireType.Bit64)
      .fixed64(5)
      .tag(4, WireType.Bit32)
      .fixed32(5)
      .tag(5, WireType.LengthDelimited)
      .string('x')
      // A known number with another wire type.
      .tag(2, WireType.Varint)
      .uint32(7)
      .tag(2, WireType.LengthDelimited)
      .string('web')
      .finish(),
  );
  assert.deepEqual(type.decode(new MessageReader(bytes), bytes.length), { name: 'web' });
});

test('a shared type gives one value for equal bytes, and the right one for all others', () => {
  const type = shared(new MessageType({ 1: single('name', text) }));
  const read = (name: string): unknown => {
    const message = new BinaryWriter().tag(1, WireType.LengthDelimited).string(name).finish();
    const reader = new MessageReader(Buffer.from(new BinaryWriter().bytes(message).finish()));
    const value = type.read(reader);
    assert.equal(reader.pos, reader.len);
    return value;
  };
  assert.equal(read('node-1'), read('node-1'));
  // More values than it keeps, twice, and values that are too long to be kept.
  for (let index = 0; index < 20_000; index += 1)
    assert.deepEqual(read(`${index % 9_999}`), { name: `${index % 9_999}` });
  for (const length of [126, 127, 128, 5_000])
    assert.deepEqual(read('x'.repeat(length)), { name: 'x'.repeat(length) });
});
