import { familyOf, hostPrefixLength, ipFromBytes, ipToBytes, type IpAddress } from '../base/ip.js';
import type {
  BaseChainHook,
  BaseChainHookName,
  Chain,
  Expression,
  KeyField,
  KeyValue,
  Rule,
  TableDeclaration,
} from './declarations.js';
import { registerBytesOf, registerNumberOf } from './register-value.js';
import type { Protocol } from '../base/protocol.js';

/** The first packet of a connection. */
export interface Packet {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: Protocol | 'ICMP';
  /** Destination port; 0 for ICMP. */
  readonly port: number;
  /** Input interface; '' for a packet that this node sends. */
  readonly interfaceName: string;
  readonly mark: number;
}

/** The rules of a family, their elements and the addresses of this machine. */
export interface RuleEnvironment {
  readonly table: TableDeclaration;
  readonly hasElement: (set: string, fields: readonly KeyValue[]) => boolean;
  /** The mark of an element of a map of packet marks. */
  readonly markOf?: (set: string, fields: readonly KeyValue[]) => number | undefined;
  /** Whether the address is one of this machine. */
  readonly isLocal: (address: IpAddress) => boolean;
}

export type PacketVerdict = 'accepted' | 'dropped' | 'tcp-reset' | 'port-unreachable';

/** The effect of one hook's rules on a packet. */
export interface HookResult {
  readonly verdict: PacketVerdict;
  readonly mark: number;
  readonly masqueraded: boolean;
  /** The rules that it matched, in order. */
  readonly matchedRules: readonly { readonly chain: string; readonly rule: Rule }[];
}

type RuleResult = 'next-rule' | 'return' | Exclude<PacketVerdict, 'accepted'> | 'accepted';

// include/uapi/linux/in.h, in6.h
const protocolNumbers = { TCP: 6, UDP: 17, SCTP: 132 } as const;
const icmpNumbers = { IPv4: 1, IPv6: 58 } as const;
// include/uapi/linux/netfilter/nf_conntrack_common.h, include/uapi/linux/rtnetlink.h
const stateNew = 8;
const localType = 2;
const unicastType = 1;

const registerBytes = 4;

type FinalExpression = Extract<Expression, { kind: 'verdict' | 'reject' | 'destination-nat' }>;

const isFinal = (expression: Expression): expression is FinalExpression =>
  expression.kind === 'verdict' || expression.kind === 'reject' || expression.kind === 'destination-nat';

/** Runs our rules as the kernel's virtual machine does, for the first packet of a connection. An unknown expression does not match. */
class RuleInterpreter {
  readonly #registers = new Uint8Array(20 * registerBytes);
  readonly matchedRules: { chain: string; rule: Rule }[] = [];
  masqueraded = false;
  mark: number;
  #priority = 0;

  constructor(
    private readonly rules: RuleEnvironment,
    private readonly packet: Packet,
  ) {
    this.mark = packet.mark;
  }

  run(name: string): RuleResult {
    const chain: Chain | undefined = this.rules.table.chains.find((one) => one.name === name);
    for (const rule of chain?.rules ?? []) {
      const step = this.#rule(name, rule);
      if (step !== 'next-rule') return step;
    }
    return 'return';
  }

  #rule(chain: string, rule: Rule): RuleResult {
    for (const expression of rule.expressions) {
      if (isFinal(expression)) {
        this.matchedRules.push({ chain, rule });
        return this.#end(expression);
      }
      if (!this.#matches(expression)) return 'next-rule';
    }
    this.matchedRules.push({ chain, rule });
    return 'next-rule';
  }

  #end(expression: FinalExpression): RuleResult {
    if (expression.kind === 'reject') return expression.with;
    if (expression.kind === 'destination-nat') return 'accepted';
    if (!('chain' in expression)) {
      const steps = { accept: 'accepted', drop: 'dropped', return: 'return', continue: 'next-rule' } as const;
      return steps[expression.verdict];
    }
    const step = this.run(expression.chain);
    return step === 'return' && expression.verdict === 'jump' ? 'next-rule' : step;
  }

  #matches(expression: Expression): boolean {
    switch (expression.kind) {
      case 'payload':
        return this.#put(expression.to, this.#payload(expression));
      case 'meta':
        return this.#put(expression.to, this.#meta(expression.key));
      case 'ct':
        return this.#put(expression.to, registerBytesOf(expression.key === 'state' ? stateNew : 0));
      case 'fib-type': {
        const address = expression.of === 'source' ? this.packet.source : this.packet.destination;
        return this.#put(
          expression.to,
          registerBytesOf(this.rules.isLocal(address) ? localType : unicastType),
        );
      }
      case 'immediate':
        return this.#put(expression.to, registerBytesOf(expression.value));
      case 'bitwise':
        return this.#bitwise(expression);
      case 'meta-set':
        return this.#set(expression);
      case 'mark-map':
        return this.#put(expression.to, this.#markOf(expression.set, expression.from));
      case 'compare':
        return this.#compare(expression);
      case 'lookup':
        return this.#isIn(expression.set, expression.from) !== (expression.inverted === true);
      case 'masquerade':
        this.masqueraded = true;
        return true;
      case 'counter':
        return true;
      case 'verdict':
      case 'reject':
      case 'destination-nat':
      case 'verdict-map':
      case 'unknown':
        return false;
    }
  }

  #set({ key, from }: Extract<Expression, { kind: 'meta-set' }>): true {
    const value = registerNumberOf(this.#read(from, 4));
    if (key === 'mark') this.mark = value;
    else this.#priority = value;
    return true;
  }

  #put(register: number, bytes: Uint8Array | undefined): boolean {
    if (bytes === undefined) return false;
    const start = register * registerBytes;
    this.#registers.fill(0, start, start + Math.ceil(bytes.length / registerBytes) * registerBytes);
    this.#registers.set(bytes, start);
    return true;
  }

  #read(register: number, length: number): Uint8Array {
    return this.#registers.slice(register * registerBytes, register * registerBytes + length);
  }

  #payload({ base, offset, length }: Extract<Expression, { kind: 'payload' }>): Uint8Array | undefined {
    const { source, destination, port } = this.packet;
    if (base === 'transport')
      return offset === 2 && length === 2 ? Uint8Array.of(port >> 8, port & 0xff) : undefined;
    const isIpv4 = familyOf(destination) === 'IPv4';
    if (offset === (isIpv4 ? 12 : 8)) return ipToBytes(source);
    return offset === (isIpv4 ? 16 : 24) ? ipToBytes(destination) : undefined;
  }

  #meta(key: Extract<Expression, { kind: 'meta' }>['key']): Uint8Array | undefined {
    const { protocol, destination, interfaceName } = this.packet;
    if (key === 'mark') return registerBytesOf(this.mark);
    if (key === 'priority') return registerBytesOf(this.#priority);
    if (key === 'l4proto')
      return Uint8Array.of(
        protocol === 'ICMP' ? icmpNumbers[familyOf(destination)] : protocolNumbers[protocol],
      );
    if (key !== 'iifname') return undefined;
    const name = new Uint8Array(16);
    new TextEncoder().encodeInto(interfaceName, name);
    return name;
  }

  #bitwise({ from, to, mask, xor }: Extract<Expression, { kind: 'bitwise' }>): boolean {
    const masks = registerBytesOf(mask);
    const flips = registerBytesOf(xor);
    const value = this.#read(from, masks.length);
    return this.#put(
      to,
      value.map((byte, index) => (byte & (masks[index] ?? 0)) ^ (flips[index] ?? 0)),
    );
  }

  #compare({ operator, from, value }: Extract<Expression, { kind: 'compare' }>): boolean {
    const wanted = registerBytesOf(value);
    const isEqual = this.#read(from, wanted.length).every((byte, index) => byte === wanted[index]);
    if (operator === '==') return isEqual;
    return operator === '!=' && !isEqual;
  }

  #markOf(set: string, from: number): Uint8Array | undefined {
    const fields = this.#key(set, from);
    const mark = fields && this.rules.markOf?.(set, fields);
    return mark === undefined ? undefined : registerBytesOf(mark);
  }

  #isIn(set: string, from: number): boolean {
    const fields = this.#key(set, from);
    return fields !== undefined && this.rules.hasElement(set, fields);
  }

  /** The key that the registers hold for the set; undefined for none. */
  #key(set: string, from: number): readonly KeyValue[] | undefined {
    const declaration = this.rules.table.sets.find(({ name }) => name === set);
    if (declaration === undefined) return undefined;
    let register = from;
    const fields = declaration.key.map((field) => {
      const [value, registers] = this.#field(field, register);
      register += registers;
      return value;
    });
    return fields.every((field) => field !== undefined) ? fields : undefined;
  }

  #field(field: KeyField, register: number): readonly [KeyValue | undefined, number] {
    if (field === 'address') {
      const length = hostPrefixLength(familyOf(this.packet.destination)) / 8;
      return [ipFromBytes(this.#read(register, length)), length / registerBytes];
    }
    if (field === 'mark') return [registerNumberOf(this.#read(register, 4)), 1];
    const [high = 0, low = 0] = this.#read(register, 2);
    if (field === 'port') return [high * 256 + low, 1];
    const names = Object.entries(protocolNumbers);
    return [names.find(([, number]) => number === high)?.[0] as Protocol | undefined, 1];
  }
}

/**
 * Runs the chains of hooks, one hook after the other, for the first packet of a connection; without those that
 * the packet does not meet.
 */
export const runHooks = (
  rules: RuleEnvironment,
  hooks: readonly BaseChainHookName[],
  packet: Packet,
  isMet: (hook: BaseChainHook) => boolean = () => true,
): HookResult => {
  const interpreter = new RuleInterpreter(rules, packet);
  const chains = hooks.flatMap((name) =>
    rules.table.chains
      .filter(({ hook }) => hook?.hook === name && isMet(hook))
      .toSorted((a, b) => (a.hook?.priority ?? 0) - (b.hook?.priority ?? 0)),
  );
  let end: PacketVerdict = 'accepted';
  for (const { name } of chains) {
    const step = interpreter.run(name);
    if (step === 'next-rule' || step === 'return' || step === 'accepted') continue;
    end = step;
    break;
  }
  const { mark, masqueraded, matchedRules } = interpreter;
  return { verdict: end, mark, masqueraded, matchedRules: matchedRules };
};
