import type { Family } from '../../base/ip.js';
import type { Expression, Verdict } from '../../nftables/declarations.js';
import { registerBytesOf } from '../../nftables/register-value.js';
import type { AttributeSet, Decoded, DecodedAttributes } from '../../netlink/codec/attributes.js';
import { viewOf } from '../../netlink/codec/bytes.js';
import { ProtocolError } from '../../netlink/errors.js';
import { netfilterFamilies } from '../nfnetlink.js';
import {
  bitwise,
  compare,
  counter,
  ct,
  type data,
  describeData,
  expressionValues,
  fib,
  fibFlags,
  immediate,
  lookup,
  lookupIsInverted,
  masquerade,
  meta,
  nat,
  NatFlag,
  payload,
  reject,
  type ExpressionValues,
  type ReceivedExpression,
} from './expression-attributes.js';

/** include/uapi/linux/icmp.h: ICMP_PORT_UNREACH; include/uapi/linux/icmpv6.h: ICMPV6_PORT_UNREACH */
const portUnreachable: Readonly<Record<Family, number>> = { IPv4: 3, IPv6: 4 };

const verdictData = (verdict: Verdict): { readonly code: Verdict['verdict']; readonly chain?: string } =>
  'chain' in verdict ? { code: verdict.verdict, chain: verdict.chain } : { code: verdict.verdict };

type ExpressionOf<Kind extends Expression['kind']> = Extract<Expression, { readonly kind: Kind }>;

/** Expressions that put a value into registers. */
const loadValues = (
  expression: ExpressionOf<'payload' | 'meta' | 'ct' | 'fib-type' | 'bitwise' | 'immediate'>,
): ExpressionValues => {
  const { to } = expression;
  switch (expression.kind) {
    case 'payload':
      return expressionValues(payload, expression);
    case 'meta':
      return expressionValues(meta, { key: expression.key, to });
    case 'ct':
      return expressionValues(ct, { key: expression.key, to });
    case 'fib-type':
      return expressionValues(fib, { to, result: 'type', flags: fibFlags[expression.of] });
    case 'immediate':
      return expressionValues(immediate, { to, value: { value: registerBytesOf(expression.value) } });
    case 'bitwise': {
      const { from } = expression;
      const mask = registerBytesOf(expression.mask);
      const xor = { value: registerBytesOf(expression.xor) };
      return expressionValues(bitwise, { from, to, length: mask.length, mask: { value: mask }, xor });
    }
  }
};

const masqueradeValues = ({ ports, fullyRandom }: ExpressionOf<'masquerade'>): ExpressionValues => {
  const flags = (ports === undefined ? 0 : NatFlag.ports) | (fullyRandom ? NatFlag.fullyRandom : 0);
  return expressionValues(masquerade, {
    flags: flags === 0 ? undefined : flags,
    lowestPort: ports?.from,
    highestPort: ports?.to,
  });
};

/** Expressions that change or refuse the packet. */
const packetValues = (
  expression: ExpressionOf<'masquerade' | 'destination-nat' | 'reject'>,
  family: Family,
): ExpressionValues => {
  switch (expression.kind) {
    case 'masquerade':
      return masqueradeValues(expression);
    case 'destination-nat':
      return expressionValues(nat, {
        type: 'destination',
        family: netfilterFamilies[family],
        lowestAddress: expression.address,
      });
    case 'reject':
      return expression.with === 'tcp-reset'
        ? expressionValues(reject, { type: 'tcp-reset', code: 0 })
        : expressionValues(reject, { type: 'unreachable', code: portUnreachable[family] });
  }
};

const lookupValues = ({
  kind,
  set,
  from,
  inverted,
}: ExpressionOf<'lookup' | 'verdict-map'>): ExpressionValues =>
  expressionValues(lookup, {
    set,
    from,
    to: kind === 'verdict-map' ? 'verdict' : undefined,
    flags: inverted === true ? lookupIsInverted : undefined,
  });

/** The attributes of an expression of a rule in a table of the family. */
export const valuesOf = (expression: Expression, family: Family): ExpressionValues => {
  switch (expression.kind) {
    case 'payload':
    case 'meta':
    case 'ct':
    case 'fib-type':
    case 'bitwise':
    case 'immediate':
      return loadValues(expression);
    case 'mark-map':
      return expressionValues(lookup, { set: expression.set, from: expression.from, to: expression.to });
    case 'meta-set':
      return expressionValues(meta, { key: expression.key, from: expression.from });
    case 'compare': {
      const { from, operator } = expression;
      return expressionValues(compare, {
        from,
        operator,
        value: { value: registerBytesOf(expression.value) },
      });
    }
    case 'lookup':
    case 'verdict-map':
      return lookupValues(expression);
    case 'verdict':
      return expressionValues(immediate, { to: 'verdict', value: { verdict: verdictData(expression) } });
    case 'masquerade':
    case 'destination-nat':
    case 'reject':
      return packetValues(expression, family);
    case 'counter':
      return expressionValues(counter, { packets: expression.packets, bytes: expression.bytes });
    case 'unknown':
      throw new ProtocolError(`the expression ${expression.name} is not known, so it cannot be declared`);
  }
};

type AttributeSetSpecs = ConstructorParameters<typeof AttributeSet>[1];
type Decoder = (bytes: Uint8Array, family: Family) => Expression | undefined;

/** `convert` returns undefined for attributes that none of our expressions has. */
const decoder =
  <R extends AttributeSetSpecs>(
    table: AttributeSet<R>,
    convert: (values: DecodedAttributes<R>, family: Family) => Expression | undefined,
  ): Decoder =>
  (bytes, family) =>
    convert(table.read(viewOf(bytes), 0, bytes.length), family);

const payloadFrom = ({ base, offset, length, to, from }: Decoded<typeof payload>): Expression | undefined =>
  (base === 'network' || base === 'transport') && typeof to === 'number' && from === undefined
    ? { kind: 'payload', base, offset, length, to }
    : undefined;

const metaFrom = ({ key, to, from }: Decoded<typeof meta>): Expression | undefined => {
  if (key !== undefined && typeof to === 'number') return { kind: 'meta', key, to };
  return (key === 'mark' || key === 'priority') && typeof from === 'number'
    ? { kind: 'meta-set', key, from }
    : undefined;
};

const ctFrom = ({ key, to, direction, from }: Decoded<typeof ct>): Expression | undefined =>
  key !== undefined && typeof to === 'number' && direction === undefined && from === undefined
    ? { kind: 'ct', key, to }
    : undefined;

const fibFrom = ({ to, result, flags }: Decoded<typeof fib>): Expression | undefined => {
  if (result !== 'type' || typeof to !== 'number') return undefined;
  if (flags === fibFlags.source) return { kind: 'fib-type', of: 'source', to };
  return flags === fibFlags.destination ? { kind: 'fib-type', of: 'destination', to } : undefined;
};

const bitwiseFrom = ({
  from,
  to,
  mask,
  xor,
  operator = 'mask',
}: Decoded<typeof bitwise>): Expression | undefined =>
  operator === 'mask' &&
  typeof from === 'number' &&
  typeof to === 'number' &&
  mask?.value !== undefined &&
  xor?.value !== undefined
    ? { kind: 'bitwise', from, to, mask: mask.value, xor: xor.value }
    : undefined;

const compareFrom = ({ from, operator, value }: Decoded<typeof compare>): Expression | undefined =>
  operator !== undefined && typeof from === 'number' && value.value !== undefined
    ? { kind: 'compare', operator, from, value: value.value }
    : undefined;

/** The verdict in a datum; undefined without one, and for an unknown one. */
export const verdictFrom = (datum: Decoded<typeof data> | undefined): Verdict | undefined => {
  const { code, chain } = datum?.verdict ?? {};
  if (code === 'jump' || code === 'goto') return chain === undefined ? undefined : { verdict: code, chain };
  return code === undefined || code === 'break' ? undefined : { verdict: code };
};

const immediateFrom = ({ to, value }: Decoded<typeof immediate>): Expression | undefined => {
  if (typeof to === 'number')
    return value.value === undefined ? undefined : { kind: 'immediate', to, value: value.value };
  const verdict = verdictFrom(value);
  return verdict === undefined ? undefined : { kind: 'verdict', ...verdict };
};

const lookupFrom = ({ set, from, to, flags = 0 }: Decoded<typeof lookup>): Expression | undefined => {
  if (typeof from !== 'number' || (flags & ~lookupIsInverted) !== 0) return undefined;
  if (typeof to === 'number') return flags === 0 ? { kind: 'mark-map', set, from, to } : undefined;
  const kind = to === 'verdict' ? 'verdict-map' : 'lookup';
  return flags === 0 ? { kind, set, from } : { kind, set, from, inverted: true };
};

const masqueradeFrom = ({
  flags = 0,
  lowestPort,
  highestPort,
}: Decoded<typeof masquerade>): Expression | undefined => {
  const fullyRandom = (flags & NatFlag.fullyRandom) !== 0;
  if ((flags & ~(NatFlag.ports | NatFlag.fullyRandom)) !== 0) return undefined;
  if (lowestPort === undefined && highestPort === undefined)
    return { kind: 'masquerade', fullyRandom, ports: undefined };
  return typeof lowestPort === 'number' && typeof highestPort === 'number'
    ? { kind: 'masquerade', fullyRandom, ports: { from: lowestPort, to: highestPort } }
    : undefined;
};

const natFrom = (values: Decoded<typeof nat>, family: Family): Expression | undefined => {
  const { type, lowestAddress: address, highestAddress = address, flags = 0 } = values;
  const plain =
    values.family === netfilterFamilies[family] &&
    values.lowestPort === undefined &&
    values.highestPort === undefined &&
    (flags & ~NatFlag.addresses) === 0;
  return type === 'destination' && typeof address === 'number' && highestAddress === address && plain
    ? { kind: 'destination-nat', address }
    : undefined;
};

const rejectFrom = ({ type, code }: Decoded<typeof reject>, family: Family): Expression | undefined => {
  if (type === 'tcp-reset') return { kind: 'reject', with: 'tcp-reset' };
  return type === 'unreachable' && code === portUnreachable[family]
    ? { kind: 'reject', with: 'port-unreachable' }
    : undefined;
};

const decoders = new Map<string, Decoder>([
  [payload.name, decoder(payload, payloadFrom)],
  [meta.name, decoder(meta, metaFrom)],
  [ct.name, decoder(ct, ctFrom)],
  [fib.name, decoder(fib, fibFrom)],
  [bitwise.name, decoder(bitwise, bitwiseFrom)],
  [compare.name, decoder(compare, compareFrom)],
  [immediate.name, decoder(immediate, immediateFrom)],
  [lookup.name, decoder(lookup, lookupFrom)],
  [masquerade.name, decoder(masquerade, masqueradeFrom)],
  [nat.name, decoder(nat, natFrom)],
  [reject.name, decoder(reject, rejectFrom)],
  [counter.name, decoder(counter, ({ packets = 0n, bytes = 0n }) => ({ kind: 'counter', packets, bytes }))],
]);

/**
 * Decodes a received expression. Attributes that the kernel adds (flags of lookups and of address translation, the end of a range of
 * one address) are dropped, so that a declared expression reads back unchanged. Malformed attributes are a ProtocolError.
 */
export const expressionFrom = ({ name, data }: ReceivedExpression, family: Family): Expression =>
  decoders.get(name)?.(data, family) ?? { kind: 'unknown', name, content: describeData(name, data) };
