import { nativeShims } from '../../native-shims/index.js';
import { ByteWriter, viewOf } from './codec/bytes.js';
import { hostIsLittleEndian } from './constants.js';

/** include/uapi/linux/bpf_common.h: BPF_LD | BPF_W | BPF_ABS, BPF_JMP | BPF_JEQ | BPF_K, BPF_RET | BPF_K */
const Instruction = { loadWord: 0x20, jumpIfEqual: 0x15, returnValue: 0x06 } as const;

/** Offset in struct nlmsghdr of nlmsg_pid: in notifications the port that requested the change, 0 for none. */
const portOffset = 12;

const dropAll = 0;
const acceptAll = 0xffffffff;

/** A filter loads words in network order; the header has the machine's order. */
const toFilterOrder = (word: number): number => {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, word, hostIsLittleEndian);
  return viewOf(bytes).getUint32(0, false);
};

/** An array of struct sock_filter that drops every datagram whose first message reports a change that the port requested. */
export const ignorePortProgram = (portId: number): Uint8Array => {
  const writer = new ByteWriter(32);
  const instruction = (code: number, whenTrue: number, whenFalse: number, operand: number): void => {
    writer.u16(code);
    writer.u8(whenTrue);
    writer.u8(whenFalse);
    writer.u32(operand);
  };
  instruction(Instruction.loadWord, 0, 0, portOffset);
  instruction(Instruction.jumpIfEqual, 0, 1, toFilterOrder(portId));
  instruction(Instruction.returnValue, 0, 0, dropAll);
  instruction(Instruction.returnValue, 0, 0, acceptAll);
  return writer.written();
};

/** The socket then gets no notifications of changes that the port requested. */
export const ignorePort = (descriptor: number, portId: number): void =>
  nativeShims().attachFilter(descriptor, ignorePortProgram(portId));
