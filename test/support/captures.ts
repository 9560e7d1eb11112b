import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { viewOf } from '../../src/netlink/codec/bytes.js';
import { readMessages, type Message } from '../../src/netlink/message.js';
import { acknowledgementBytes, FakeChannel, messageBytes } from './fake-channel.js';

const folder = fileURLToPath(new URL('../../../test/fixtures/netlink/', import.meta.url));

/** A recording of a reference tool (test/fixtures/netlink/README.md). */
export interface Capture {
  readonly command: string;
  readonly output: readonly string[];
  readonly sent: readonly Uint8Array[];
  readonly received: readonly Uint8Array[];
}

/** By its path without `.json`, as `ipvs/list`. */
export const readCapture = (name: string): Capture => {
  const { command, output, sent, received } = JSON.parse(readFileSync(`${folder}${name}.json`, 'utf8'));
  const bytes = (texts: readonly string[]): Uint8Array[] =>
    texts.map((text) => Uint8Array.from(Buffer.from(text, 'hex')));
  return { command, output, sent: bytes(sent), received: bytes(received) };
};

/** Names, without `.json`, of all captures of a family. */
export const captureNames = (family: 'ipvs' | 'rtnetlink' | 'nftables'): readonly string[] =>
  readdirSync(`${folder}${family}`).map((name) => `${family}/${name.replace(/\.json$/, '')}`);

export const messagesIn = (datagram: Uint8Array): Message[] => [
  ...readMessages(viewOf(datagram), datagram.length),
];

const bodyOf = (message: Message): Uint8Array =>
  new Uint8Array(message.view.buffer, message.view.byteOffset + message.bodyOffset, message.bodyLength);

/**
 * Attributes by the path of their numbers, each with its value in hexadecimal: `1.4` → `0050`; the second of one number is
 * `1.4#2`. Independent of the tables.
 */
export type FlatAttributes = Readonly<Record<string, string>>;

export interface FlatMessage {
  readonly type: number;
  /** Without NLM_F_ACK, which a batch asks of its last message only. */
  readonly flags: number;
  readonly header: string;
  readonly attributes: FlatAttributes;
}

const flattenAttributes = (bytes: Buffer, prefix: string, nested: ReadonlySet<string>): FlatAttributes => {
  const found: Record<string, string> = {};
  const times = new Map<string, number>();
  for (let at = 0; at + 4 <= bytes.length; ) {
    const size = bytes.readUInt16LE(at);
    const type = bytes.readUInt16LE(at + 2);
    const path = `${prefix}${type & 0x3fff}`;
    const value = bytes.subarray(at + 4, at + size);
    const time = (times.get(path) ?? 0) + 1;
    times.set(path, time);
    const place = time === 1 ? path : `${path}#${time}`;
    if ((type & 0x8000) !== 0 || nested.has(path))
      Object.assign(found, flattenAttributes(value, `${place}.`, nested));
    else found[place] = value.toString('hex');
    at += Math.ceil(size / 4) * 4;
  }
  return found;
};

/** A message with a header of the length and attributes after it; `nested` are the paths of attributes that are sets and do not say so. */
export const flatten = (message: Message, headerLength: number, nested: readonly string[]): FlatMessage => {
  const body = Buffer.from(bodyOf(message));
  return {
    type: message.type,
    flags: message.flags & ~0x4,
    header: body.subarray(0, headerLength).toString('hex'),
    attributes: flattenAttributes(body.subarray(headerLength), '', new Set(nested)),
  };
};

const answersTo = (capture: Capture, body: string): readonly Uint8Array[] | undefined => {
  const index = capture.sent.findIndex((datagram) =>
    messagesIn(datagram).some((message) => Buffer.from(bodyOf(message)).toString('hex') === body),
  );
  if (index === -1) return undefined;
  // Tools ask one question after the other: the answers to one end with DONE or an acknowledgement, or are one message.
  const groups: Uint8Array[][] = [[]];
  for (const datagram of capture.received) {
    groups.at(-1)?.push(datagram);
    const last = messagesIn(datagram).at(-1);
    if (last !== undefined && (last.type === 2 || last.type === 3 || (last.flags & 0x2) === 0))
      groups.push([]);
  }
  return groups[index];
};

/** The datagram with the sequence number of the request and the port id of its socket. */
const addressed = (datagram: Uint8Array, sequence: number, portId: number): Uint8Array => {
  const copy = datagram.slice();
  let at = 0;
  for (const message of messagesIn(copy)) {
    viewOf(copy).setUint32(at + 8, sequence, true);
    viewOf(copy).setUint32(at + 12, portId, true);
    at += Math.ceil((16 + message.bodyLength) / 4) * 4;
  }
  return copy;
};

const controller = 0x10;

/**
 * A kernel that knows a capture: to the question that the tool asked (the same body, byte for byte) it gives the answer
 * that the tool got. It also knows the family IPVS by the number 20 of the captures. Every other question fails.
 */
export const replay = (capture: Capture): FakeChannel =>
  new FakeChannel((messages, { portId }) => {
    const [message] = messages;
    if (message === undefined || messages.length > 1) throw new Error('one message at a time');
    if (message.type === controller)
      return [
        messageBytes({
          type: controller,
          sequence: message.sequence,
          body: (writer) => {
            writer.u32(0x0101);
            writer.u16(6);
            writer.u16(1);
            writer.u16(20);
            writer.pad();
          },
        }),
      ];
    const body = Buffer.from(bodyOf(message)).toString('hex');
    const answers = answersTo(capture, body);
    if (answers === undefined) return [acknowledgementBytes(message, 524)];
    return answers.map((datagram) => addressed(datagram, message.sequence, portId));
  });
