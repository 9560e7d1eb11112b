import type { ForeignRule } from '../../../model/forward-filter.js';
import type { Expression, RegisterValue, Verdict } from '../../../nftables/declarations.js';
import { registerNumberOf } from '../../../nftables/register-value.js';
import { attributes, attr, optional } from '../../../netlink/codec/attributes.js';
import { viewOf } from '../../../netlink/codec/bytes.js';
import { be32, cstring, rawBytes } from '../../../netlink/codec/scalars.js';
import { matchesEstablished } from '../../xtables/entries.js';
import type { ReceivedExpression } from '../expression-attributes.js';
import { expressionFrom } from '../expressions.js';

/** NFTA_MATCH_*, NFTA_TARGET_*: an extension of iptables within nftables, as iptables-nft writes it */
const extension = attributes('extension', {
  name: attr(1, cstring),
  revision: attr(2, be32),
  info: optional(3, rawBytes(0, 0xffff)),
});

/** include/uapi/linux/netfilter/nf_conntrack_common.h: NF_CT_STATE_BIT(IP_CT_ESTABLISHED) */
const establishedState = 0x2;

/** Of a set or map by connection state: the states in it, with the verdicts of a map. */
export type StateSet = ReadonlyMap<number, Verdict | undefined>;

/** Reads a set that a rule looks the connection's state up in. */
export type ReadStateSet = (set: string) => Promise<StateSet>;

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

/** What one expression does with a packet of an open connection: continues, does not match (or not certainly), or ends the rule. */
type Step = 'on' | 'some' | ForeignRule['action'];

const actionOf = (verdict: Verdict): ForeignRule['action'] =>
  'chain' in verdict ? { verdict: verdict.verdict, chain: verdict.chain } : { verdict: verdict.verdict };

type Lookup = Extract<Expression, { readonly inverted?: boolean }>;

const isLookup = (expression: Expression): expression is Lookup =>
  expression.kind === 'lookup' || expression.kind === 'verdict-map';

/** Runs a rule for a packet of an open connection, as far as the rule depends on the connection's state alone. */
class EstablishedPacket {
  /** By register, the connection's state, whole or masked. */
  readonly #states = new Map<number, number>();

  constructor(private readonly readSet: ReadStateSet) {}

  async step(received: ReceivedExpression): Promise<Step> {
    if (passThroughExpressions.includes(received.name)) return 'on';
    if (received.name === 'match' || received.name === 'target') return this.#extension(received);
    // The packet does not pass, whatever the client is sent.
    if (received.name === 'reject') return { verdict: 'drop' };
    const expression = expressionFrom(received, 'IPv4');
    return isLookup(expression) ? this.#lookup(expression) : this.#known(expression);
  }

  async #lookup({ kind, set, from, inverted }: Lookup): Promise<Step> {
    const state = this.#states.get(from);
    if (state === undefined) return 'some';
    const elements = await this.readSet(set);
    if (kind === 'lookup') return elements.has(state) === (inverted !== true) ? 'on' : 'some';
    const verdict = elements.get(state);
    return verdict === undefined ? 'some' : actionOf(verdict);
  }

  #known(expression: Exclude<Expression, Lookup>): Step {
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
      case 'verdict':
        return actionOf(expression);
      case 'counter':
      case 'meta':
      case 'meta-set':
      case 'mark-map':
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

/** What a rule of another program does with packets of open connections. */
export const foreignRule = async (
  expressions: readonly ReceivedExpression[],
  readSet: ReadStateSet,
): Promise<ForeignRule> => {
  const packet = new EstablishedPacket(readSet);
  for (const expression of expressions) {
    const step = await packet.step(expression);
    if (step === 'some') return { scope: 'some', action: { verdict: 'continue' } };
    if (step !== 'on') return { scope: 'all', action: step };
  }
  return { scope: 'all', action: { verdict: 'continue' } };
};
