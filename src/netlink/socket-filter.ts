import { nativeShims } from '../../native-shims/index.js';
import { ByteWriter, viewOf } from './codec/bytes.js';
import { hostIsLittleEndian, messageHeaderLength } from './constants.js';

/** include/uapi/linux/bpf_common.h: BPF_LD | BPF_W, BPF_H or BPF_B | BPF_ABS, BPF_JMP | BPF_JEQ | BPF_K, BPF_RET | BPF_K */
const Instruction = {
  loadWord: 0x20,
  loadHalfWord: 0x28,
  loadByte: 0x30,
  jumpIfEqual: 0x15,
  returnValue: 0x06,
} as const;

/** Offsets in struct nlmsghdr: nlmsg_type, and nlmsg_pid, in notifications the port that requested the change, 0 for none. */
const typeOffset = 4;
const portOffset = 12;

const dropAll = 0;
const acceptAll = 0xffffffff;

/** Messages of these types are delivered only if every byte, at an offset from the body, has its value. */
export interface OnlyEvents {
  readonly types: readonly number[];
  readonly bytes: readonly { readonly offset: number; readonly value: number }[];
}

export interface EventFilter {
  /** Notifications of changes that this port requested are dropped. */
  readonly ignoredPortId?: number;
  readonly only?: OnlyEvents;
}

/** A filter loads words in network order; the header has the machine's order. */
const toFilterOrder = (word: number, bytes: 2 | 4): number => {
  const view = viewOf(new Uint8Array(4));
  if (bytes === 4) {
    view.setUint32(0, word, hostIsLittleEndian);
    return view.getUint32(0, false);
  }
  view.setUint16(0, word, hostIsLittleEndian);
  return view.getUint16(0, false);
};

/** struct sock_filter: a jump goes over so many of the following instructions. */
interface FilterInstruction {
  readonly code: number;
  readonly whenTrue: number;
  readonly whenFalse: number;
  readonly operand: number;
}

const instruction = (code: number, operand: number, whenTrue = 0, whenFalse = 0): FilterInstruction => ({
  code,
  whenTrue,
  whenFalse,
  operand,
});

const accept = instruction(Instruction.returnValue, acceptAll);
const drop = instruction(Instruction.returnValue, dropAll);

const ignorePort = (portId: number): readonly FilterInstruction[] => [
  instruction(Instruction.loadWord, portOffset),
  instruction(Instruction.jumpIfEqual, toFilterOrder(portId, 4), 0, 1),
  drop,
];

const acceptOnly = ({ types, bytes }: OnlyEvents): readonly FilterInstruction[] => [
  instruction(Instruction.loadHalfWord, typeOffset),
  // To the first check of a byte, behind the rest of the types and `accept`.
  ...types.map((type, index) =>
    instruction(Instruction.jumpIfEqual, toFilterOrder(type, 2), types.length - index),
  ),
  accept,
  ...bytes.flatMap(({ offset, value }) => [
    instruction(Instruction.loadByte, messageHeaderLength + offset),
    instruction(Instruction.jumpIfEqual, value, 1, 0),
    drop,
  ]),
];

/** An array of struct sock_filter. Of a datagram, the filter looks at the first message. */
export const eventFilterProgram = ({ ignoredPortId, only }: EventFilter): Uint8Array => {
  const instructions = [
    ...(ignoredPortId === undefined ? [] : ignorePort(ignoredPortId)),
    ...(only === undefined ? [] : acceptOnly(only)),
    accept,
  ];
  const writer = new ByteWriter(8 * instructions.length);
  for (const { code, whenTrue, whenFalse, operand } of instructions) {
    writer.u16(code);
    writer.u8(whenTrue);
    writer.u8(whenFalse);
    writer.u32(operand);
  }
  return writer.written();
};

/** The socket then gets only the notifications that pass the filter. */
export const filterEvents = (descriptor: number, filter: EventFilter): void => {
  if (filter.ignoredPortId !== undefined || filter.only !== undefined)
    nativeShims().attachFilter(descriptor, eventFilterProgram(filter));
};
