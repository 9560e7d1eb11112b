import type { ForeignRule } from '../../model/forward-filter.js';
import type { Expression, RegisterValue, Verdict } from '../../nftables/declarations.js';
import { registerNumberOf } from '../../nftables/register-value.js';
import { attributes, attr, optional } from '../../netlink/codec/attributes.js';
import { viewOf } from '../../netlink/codec/bytes.js';
import { be32, cstring, rawBytes } from '../../netlink/codec/scalars.js';
import { matchesEstablished } from '../xtables/entries.js';
import type { ReceivedExpression } from './expression-attributes.js';
import { expressionFrom } from './expressions.js';

/** NFTA_MATCH_*, NFTA_TARGET_*: an extension of iptables within nftables, as iptables-nft writes it */
const extension = attributes('extension', {
  name: attr(1, cstring),
  revision: attr(2, be32),
  info: optional(3, rawBytes(0, 0xffff)),
});

/** include/uapi/linux/netfilter/nf_conntrack_common.h: NF_CT_STATE_BIT(IP_CT_ESTABLISHED) */
const establishedState = 0x2;

/** What a rule that is for packets of open connections finds in a set of connection states. */
export interface StateSets {
  has(set: string, state: number): boolean;
  /** Of a map from states to verdicts. */
  verdict(set: string, state: number): Verdict | undefined;
}

/** Expressions that every packet passes. */
const passThroughExpressions: readonly string[] = ['counter', 'log', 'nftrace', 'notrack'];

const numberIn = (value: RegisterValue | undefined): number =>
  value === undefined || typeof value === 'number'
    ? (value ?? 0)
    : value.length === 4
      ? registerNumberOf(value)
      : Number.NaN;

const compares = (value: number, operator: '==' | '!=' | '<' | '<=' | '>' | '>=', other: number): boolean =>
  operator === '==' ? value === other : operator === '!=' ? value !== other : false;

/** What one expression makes of a packet of an open connection: goes on, is not for it (or not certainly), or ends the rule. */
type Step = 'on' | 'some' | ForeignRule['action'];

const actionOf = (verdict: Verdict): ForeignRule['action'] =>
  'chain' in verdict ? { verdict: verdict.verdict, chain: verdict.chain } : { verdict: verdict.verdict };

/** Runs a rule for a packet of an open connection, as far as it asks for nothing but the connection's state. */
class EstablishedPacket {
  /** By register, the connection's state, whole or masked. */
  readonly #states = new Map<number, number>();

  constructor(private readonly sets: StateSets) {}

  step(received: ReceivedExpression): Step {
    if (passThroughExpressions.includes(received.name)) return 'on';
    if (received.name === 'match' || received.name === 'target') return this.#extension(received);
    // Whatever it answers, the packet does not pass.
    if (received.name === 'reject') return { verdict: 'drop' };
    return this.#known(expressionFrom(received, 'IPv4'));
  }

  #known(expression: Expression): Step {
    switch (expression.kind) {
      case 'ct':
        if (expression.key === 'state') this.#states.set(expression.to, establishedState);
        else this.#states.delete(expression.to);
        return 'on';
      case 'bitwise': {
        const state = this.#states.get(expression.from);
        if (state === undefined) return 'some';
        this.#states.set(expression.to, (state & numberIn(expression.mask)) ^ numberIn(expression.xor));
        return 'on';
      }
      case 'compare': {
        const state = this.#states.get(expression.from);
        const matches =
          state !== undefined && compares(state, expression.operator, numberIn(expression.value));
        return matches ? 'on' : 'some';
      }
      case 'lookup': {
        const state = this.#states.get(expression.from);
        if (state === undefined) return 'some';
        return this.sets.has(expression.set, state) === (expression.inverted !== true) ? 'on' : 'some';
      }
      case 'verdict-map': {
        const state = this.#states.get(expression.from);
        const verdict = state === undefined ? undefined : this.sets.verdict(expression.set, state);
        return verdict === undefined ? 'some' : actionOf(verdict);
      }
      case 'verdict':
        return actionOf(expression);
      case 'counter':
      case 'meta':
      case 'meta-set':
      case 'payload':
      case 'fib-type':
      case 'immediate':
      case 'masquerade':
      case 'destination-nat':
      case 'reject':
      case 'unknown':
        return 'some';
    }
  }

  #extension({ name: kind, data }: ReceivedExpression): Step {
    const { name, revision, info } = extension.read(viewOf(data), 0, data.length);
    if (kind === 'target') return name === 'REJECT' ? { verdict: 'drop' } : 'on';
    return matchesEstablished(name, revision, viewOf(info ?? new Uint8Array(0))) ? 'on' : 'some';
  }
}

/** What a rule of anybody does with packets of open connections. */
export const foreignRule = (expressions: readonly ReceivedExpression[], sets: StateSets): ForeignRule => {
  const packet = new EstablishedPacket(sets);
  for (const expression of expressions) {
    const step = packet.step(expression);
    if (step === 'some') return { scope: 'some', action: { verdict: 'continue' } };
    if (step !== 'on') return { scope: 'all', action: step };
  }
  return { scope: 'all', action: { verdict: 'continue' } };
};
