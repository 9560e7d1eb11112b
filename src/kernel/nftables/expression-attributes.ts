import {
  attributes,
  attr,
  optional,
  type AttributeSet,
  type EncodedAttributes,
} from '../../netlink/codec/attributes.js';
import { viewOf, type ByteWriter } from '../../netlink/codec/bytes.js';
import { ProtocolError } from '../../netlink/errors.js';
import {
  be32,
  be64,
  cstring,
  enumeration,
  rawBytes,
  sbe32,
  u8,
  type Codec,
  type FixedCodec,
} from '../../netlink/codec/scalars.js';

/**
 * include/uapi/linux/netfilter/nf_tables.h: enum nft_registers. A number is a 32-bit register, 0 to 15. Where four in a row
 * begin the kernel sends the old number, of a 128-bit register (nft_dump_register), and we write it the same way.
 */
export const register: FixedCodec<number | 'verdict'> = {
  name: 'register',
  length: 4,
  write: (writer, value) => {
    if (value === 'verdict') be32.write(writer, 0);
    else if (!Number.isInteger(value) || value < 0 || value > 15)
      throw new ProtocolError(`${value} is not a valid register`);
    else be32.write(writer, value % 4 === 0 ? 1 + value / 4 : 8 + value);
  },
  read: (view, offset, length) => {
    const value = be32.read(view, offset, length);
    if (value === 0) return 'verdict';
    if (value <= 4) return (value - 1) * 4;
    if (value >= 8 && value < 24) return value - 8;
    throw new ProtocolError(`${value} is not a valid register`);
  },
};

/** include/uapi/linux/netfilter/nf_tables.h: enum nft_verdicts, and NF_DROP, NF_ACCEPT */
const verdictCode = enumeration(sbe32, {
  drop: 0,
  accept: 1,
  continue: -1,
  break: -2,
  jump: -3,
  goto: -4,
  return: -5,
});

/** include/uapi/linux/netfilter/nf_tables.h: NFTA_VERDICT_* */
const verdict = attributes('verdict', { code: attr(1, verdictCode), chain: optional(2, cstring) });

/** include/uapi/linux/netfilter/nf_tables.h: NFTA_DATA_*, NFT_DATA_VALUE_MAXLEN */
export const data = attributes('data', {
  value: optional(1, rawBytes(0, 64)),
  verdict: optional(2, verdict),
});

/** NFT_PAYLOAD_*: NFTA_PAYLOAD_* */
export const payload = attributes('payload', {
  to: optional(1, register),
  base: attr(2, enumeration(be32, { link: 0, network: 1, transport: 2, inner: 3 })),
  offset: attr(3, be32),
  length: attr(4, be32),
  from: optional(5, register),
});

/** NFT_META_* by NFTA_META_* */
export const meta = attributes('meta', {
  to: optional(1, register),
  key: attr(
    2,
    enumeration(be32, {
      protocol: 1,
      priority: 2,
      mark: 3,
      iif: 4,
      oif: 5,
      iifname: 6,
      oifname: 7,
      l4proto: 16,
      random: 24,
    }),
  ),
  from: optional(3, register),
});

/** NFT_CT_* by NFTA_CT_* */
export const ct = attributes('ct', {
  to: optional(1, register),
  key: attr(2, enumeration(be32, { state: 0, status: 2, mark: 3 })),
  direction: optional(3, u8),
  from: optional(4, register),
});

/** NFTA_FIB_* */
export const fib = attributes('fib', {
  to: attr(1, register),
  result: attr(2, enumeration(be32, { interface: 1, interfaceName: 2, type: 3 })),
  flags: attr(3, be32),
});

/** NFTA_FIB_F_SADDR, NFTA_FIB_F_DADDR */
export const fibFlags = { source: 0x1, destination: 0x2 } as const;

/** NFTA_BITWISE_* */
export const bitwise = attributes('bitwise', {
  from: attr(1, register),
  to: attr(2, register),
  length: attr(3, be32),
  mask: optional(4, data),
  xor: optional(5, data),
  operator: optional(6, enumeration(be32, { mask: 0, left: 1, right: 2 })),
  shift: optional(7, data),
});

/** NFTA_CMP_*, enum nft_cmp_ops */
export const compare = attributes('cmp', {
  from: attr(1, register),
  operator: attr(2, enumeration(be32, { '==': 0, '!=': 1, '<': 2, '<=': 3, '>': 4, '>=': 5 })),
  value: attr(3, data),
});

/** NFTA_IMMEDIATE_* */
export const immediate = attributes('immediate', { to: attr(1, register), value: attr(2, data) });

/** NFTA_LOOKUP_* */
export const lookup = attributes('lookup', {
  set: attr(1, cstring),
  from: attr(2, register),
  to: optional(3, register),
  flags: optional(5, be32),
});

/** NFT_LOOKUP_F_INV */
export const lookupIsInverted = 0x1;

/** NFTA_MASQ_* */
export const masquerade = attributes('masq', {
  flags: optional(1, be32),
  lowestPort: optional(2, register),
  highestPort: optional(3, register),
});

/** NFTA_NAT_* */
export const nat = attributes('nat', {
  type: attr(1, enumeration(be32, { source: 0, destination: 1 })),
  family: attr(2, enumeration(be32, { ip: 2, ip6: 10 })),
  lowestAddress: optional(3, register),
  highestAddress: optional(4, register),
  lowestPort: optional(5, register),
  highestPort: optional(6, register),
  flags: optional(7, be32),
});

/** include/uapi/linux/netfilter/nf_nat.h: NF_NAT_RANGE_*. The kernel sets the first two itself where an address or ports are given. */
export const NatFlag = { addresses: 0x1, ports: 0x2, fullyRandom: 0x10 } as const;

/** NFTA_REJECT_* */
export const reject = attributes('reject', {
  type: attr(1, enumeration(be32, { unreachable: 0, 'tcp-reset': 1, 'any-family': 2 })),
  code: optional(2, u8),
});

/** NFTA_COUNTER_* */
export const counter = attributes('counter', { bytes: optional(1, be64), packets: optional(2, be64) });

/** An expression to send, with its table. */
export interface ExpressionValues {
  readonly name: string;
  write(writer: ByteWriter): void;
}

/** A received expression: its name, and the attributes, whose meaning depends on the name. */
export interface ReceivedExpression {
  readonly name: string;
  readonly data: Uint8Array;
}

type AttributeSetSpecs = ConstructorParameters<typeof AttributeSet>[1];

const attributeSets = new Map(
  [payload, meta, ct, fib, bitwise, compare, immediate, lookup, masquerade, nat, reject, counter].map(
    (table) => [table.name, table],
  ),
);

/** include/uapi/linux/netfilter/nf_tables.h: NFTA_EXPR_* */
const frameOf = <R extends AttributeSetSpecs>(table: AttributeSet<R>) =>
  attributes('expression', { name: attr(1, cstring), data: attr(2, table) });

const received = attributes('expression', { name: attr(1, cstring), data: optional(2, rawBytes(0, 0xffff)) });

export const expressionValues = <R extends AttributeSetSpecs>(
  table: AttributeSet<R>,
  values: EncodedAttributes<R>,
): ExpressionValues => ({
  name: table.name,
  write: (writer) => frameOf(table).write(writer, { name: table.name, data: values }),
});

/** The name, which precedes the attributes, selects their table. */
export const expression: Codec<ReceivedExpression, ExpressionValues> = {
  name: 'expression',
  nested: true,
  write: (writer, value) => value.write(writer),
  read: (view, offset, length) => {
    const { name, data: bytes } = received.read(view, offset, length);
    return { name, data: bytes ?? new Uint8Array(0) };
  },
  describe: (view, offset, length) => {
    const { name, data: bytes } = expression.read(view, offset, length);
    return `${name}${describeData(name, bytes)}`;
  },
  pathAt: (view, offset, length, target) => {
    const table = attributeSets.get(received.read(view, offset, length).name);
    const frame = table === undefined ? received : frameOf(table as AttributeSet<AttributeSetSpecs>);
    return frame.pathAt(view, offset, length, target);
  },
};

const anonymous = attributes('unknown', {});

/** The attributes of an expression as text, unknown ones as bytes: `{to=0 base=network offset=16 length=4}`. */
export const describeData = (name: string, bytes: Uint8Array): string =>
  (attributeSets.get(name) ?? anonymous).describe(viewOf(bytes), 0, bytes.length);
