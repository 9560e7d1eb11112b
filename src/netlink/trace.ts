import { viewOf, hex, bytesAt } from './codec/bytes.js';
import { errnoName } from './errno.js';
import { acknowledgementAttributes, readAcknowledgement } from './acknowledgement.js';
import { MessageFlag, MessageType } from './constants.js';
import { ProtocolError } from './errors.js';
import { readMessages, type BodyShape, type Message } from './message.js';

/** Finds the layout of a message's body; undefined where it is unknown. */
export type ShapeOf = (message: Message) => BodyShape | undefined;

export type Direction = 'sent' | 'received';

/** Called with every datagram that a socket sends or receives. */
export type Tracer = (direction: Direction, datagram: Uint8Array, shapeOf: ShapeOf) => void;

const commonFlags: readonly (readonly [string, number])[] = [
  ['request', MessageFlag.request],
  ['multi', MessageFlag.multi],
  ['ack', MessageFlag.acknowledge],
  ['echo', MessageFlag.echo],
  ['dump-interrupted', MessageFlag.dumpInterrupted],
];

const formatFlags = (flags: number): string => {
  const names = commonFlags.filter(([, bit]) => (flags & bit) !== 0).map(([name]) => name);
  const rest = flags & ~commonFlags.reduce((sum, [, bit]) => sum | bit, 0);
  return [...names, ...(rest === 0 ? [] : [`0x${rest.toString(16)}`])].join('|') || 'none';
};

const describeAcknowledgement = (message: Message): string => {
  const { errno, text, offset, missingType } = readAcknowledgement(message);
  return [
    errno === 0 ? 'ok' : errnoName(errno),
    ...(text === undefined ? [] : [JSON.stringify(text)]),
    ...(offset === undefined ? [] : [`${acknowledgementAttributes.name} offset ${offset}`]),
    ...(missingType === undefined ? [] : [`missing attribute ${missingType}`]),
  ].join(' ');
};

const describeBody = (message: Message, shapeOf: ShapeOf): string => {
  if (message.type === MessageType.error) return `error ${describeAcknowledgement(message)}`;
  if (message.type === MessageType.done) return `done ${describeAcknowledgement(message)}`;
  const shape = shapeOf(message);
  if (shape !== undefined) return `${shape.name} ${shape.describe(message)}`;
  return `type ${message.type} ${hex(bytesAt(message.view, message.bodyOffset, message.bodyLength))}`;
};

/** One line per message: direction, sequence number, flags, and the body annotated from its table. Never throws. */
export const describeDatagram = (
  direction: Direction,
  datagram: Uint8Array,
  shapeOf: ShapeOf,
): readonly string[] => {
  const lines: string[] = [];
  const arrow = direction === 'sent' ? '>' : '<';
  try {
    for (const message of readMessages(viewOf(datagram), datagram.length))
      lines.push(
        `${arrow} seq ${message.sequence} ${formatFlags(message.flags)} ${describeBody(message, shapeOf)}`,
      );
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    lines.push(`${arrow} <${error.message}> ${hex(datagram)}`);
  }
  return lines;
};

/** Writes to standard error where the comma-separated list in the environment variable KUBE_IPVS_TRACE contains `netlink`; otherwise undefined. */
export const tracerFromEnvironment = (protocolName: string): Tracer | undefined => {
  if (!(process.env['KUBE_IPVS_TRACE'] ?? '').split(',').includes('netlink')) return undefined;
  return (direction, datagram, shapeOf) => {
    for (const line of describeDatagram(direction, datagram, shapeOf))
      process.stderr.write(`netlink ${protocolName} ${line}\n`);
  };
};
