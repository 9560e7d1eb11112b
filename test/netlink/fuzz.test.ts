import { defaultInstance } from '../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command, infoAttributes, messageAttributes } from '../../src/kernel/ipvs/attributes.js';
import { realServerFrom, virtualServerFrom } from '../../src/kernel/ipvs/convert.js';
import { routeShapeOf } from '../../src/kernel/rtnetlink/attributes.js';
import { rtnetlinkEventFrom } from '../../src/kernel/rtnetlink/events.js';
import {
  chainShape,
  elementsShape,
  nftablesShapeOf,
  ruleShape,
  setShape,
} from '../../src/kernel/nftables/attributes.js';
import { elementFrom, hookFrom, ruleFrom, setFrom } from '../../src/kernel/nftables/convert.js';
import { tableOfEvent } from '../../src/kernel/nftables/events.js';
import { ruleText } from '../../src/nftables/table-text.js';
import { services } from '../support/packet-rules.js';
import type { IpAddress } from '../../src/base/ip.js';
import type { VirtualServerIdentity } from '../../src/model/virtual-server.js';
import { acknowledgementAttributes, readAcknowledgement } from '../../src/netlink/acknowledgement.js';
import { hex, viewOf } from '../../src/netlink/codec/bytes.js';
import { ProtocolError } from '../../src/netlink/errors.js';
import { controlFamily, GenericFamily } from '../../src/netlink/generic-family.js';
import { readMessages, type Message } from '../../src/netlink/message.js';
import { describeDatagram } from '../../src/netlink/trace.js';
import { Random } from '../support/random.js';
import { seedDatagrams } from '../support/seed-datagrams.js';

const runs = 100_000;
const family = new GenericFamily(20, 1, messageAttributes, Command);
const info = new GenericFamily(20, 1, infoAttributes, Command);
const of: VirtualServerIdentity = { by: 'fwmark', fwmark: 1, family: 'IPv4' };
const anyAddress = '10.0.0.1' as IpAddress;

const names = new Map<number, string>();
const decoders: readonly ((message: Message) => unknown)[] = [
  readAcknowledgement,
  (message) => rtnetlinkEventFrom(message, names, defaultInstance.routeMetric),
  (message) => virtualServerFrom(family.decode(message).service ?? { family: 'IPv4' }),
  (message) =>
    realServerFrom(
      family.decode(message).destination ?? { address: new Uint8Array(4), port: 1 },
      message.type % 2 === 0 ? of : { by: 'address', protocol: 'TCP', address: anyAddress, port: 1 },
    ),
  info.decode,
  controlFamily.decode,
  tableOfEvent,
  (message) => ruleText('IPv4', ruleFrom(ruleShape.read(message).attributes, 'IPv4')),
  (message) => hookFrom(chainShape.read(message).attributes),
  (message) => setFrom(setShape.read(message).attributes, 'IPv4'),
  (message) =>
    (elementsShape.read(message).attributes.elements ?? []).map((element) =>
      elementFrom(element, services, 'IPv4'),
    ),
  (message) => nftablesShapeOf(message)?.pathAt(message, message.sequence % 400),
  (message) => family.shapeOf(message)?.pathAt(message, message.sequence % 200),
];

const shapes = [routeShapeOf, family.shapeOf, info.shapeOf, nftablesShapeOf];

/** How a run ended: the decoders that read something, and those that refused it. */
const outcome = { read: 0, refused: 0 };

const decodeAll = (bytes: Uint8Array): void => {
  const attempt = (action: () => unknown): void => {
    try {
      action();
      outcome.read += 1;
    } catch (error) {
      if (!(error instanceof ProtocolError))
        assert.fail(`${String(error)} came out of a decoder fed ${hex(bytes, 4096)}`);
      outcome.refused += 1;
    }
  };
  attempt(() => {
    for (const message of readMessages(viewOf(bytes), bytes.length))
      for (const decode of decoders) attempt(() => decode(message));
  });
  attempt(() => acknowledgementAttributes.read(viewOf(bytes), 0, bytes.length));
  const shapeOf = shapes[outcome.read % shapes.length];
  if (shapeOf !== undefined)
    assert.equal(describeDatagram('received', bytes, shapeOf).length > 0, bytes.length > 0);
};

const randomBytes = (random: () => number): Uint8Array =>
  Uint8Array.from({ length: Math.floor(random() * 200) }, () => Math.floor(random() * 256));

const mutated = (original: Uint8Array, random: () => number): Uint8Array => {
  const bytes = original.slice(0, random() < 0.2 ? Math.floor(random() * original.length) : original.length);
  const changes = 1 + Math.floor(random() * 4);
  for (let change = 0; change < changes && bytes.length > 0; change += 1)
    bytes[Math.floor(random() * bytes.length)] =
      random() < 0.5 ? Math.floor(random() * 256) : Math.floor(random() * 24);
  return bytes;
};

test(`${runs} random and mutated datagrams: the decoders throw nothing but ProtocolError`, () => {
  // The same numbers in every run, so that a failure can be had again.
  const source = new Random(20261123);
  const random = (): number => source.next();
  const seeds = seedDatagrams();
  assert.ok(seeds.length >= 10, `${seeds.length} seeds`);
  for (const seed of seeds) decodeAll(seed);
  for (let run = 0; run < runs; run += 1) {
    const seed = seeds[run % seeds.length] ?? new Uint8Array(0);
    decodeAll(run % 5 === 0 ? randomBytes(random) : mutated(seed, random));
  }
  // Both ways were taken often: neither was everything refused nor was nothing damaged.
  assert.ok(outcome.read > runs && outcome.refused > runs, JSON.stringify(outcome));
});
