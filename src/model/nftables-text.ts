import type { Family } from '../base/ip.js';
import {
  bigEndian,
  bytesOf,
  comparison,
  formatValue,
  hexBytes,
  newMark,
  operand,
  registersOf,
  type Held,
  type Kind,
} from './nftables-values.js';
import type {
  Expression,
  KeyField,
  Register,
  Rule,
  SetDeclaration,
  SetElement,
  TableDeclaration,
  Verdict,
} from './nftables.js';

const verdictText = (verdict: Verdict): string =>
  'chain' in verdict ? `${verdict.verdict} ${verdict.chain}` : verdict.verdict;

const addressOffsets: Readonly<Record<Family, Readonly<Record<number, string>>>> = {
  IPv4: { 12: 'ip saddr', 16: 'ip daddr' },
  IPv6: { 8: 'ip6 saddr', 24: 'ip6 daddr' },
};
const portOffsets: Readonly<Record<number, string>> = { 0: 'th sport', 2: 'th dport' };

const source = (text: string, kind: Kind, length: number): Held => ({
  text,
  kind,
  length,
  masked: undefined,
  value: undefined,
});

const fromPayload = (
  { base, offset, length }: Extract<Expression, { kind: 'payload' }>,
  family: Family,
): Held => {
  const address = addressOffsets[family][offset];
  if (base === 'network' && address !== undefined && length === (family === 'IPv4' ? 4 : 16))
    return source(address, 'address', length);
  const port = portOffsets[offset];
  if (base === 'transport' && port !== undefined && length === 2) return source(port, 'port', 2);
  return source(`@${base === 'network' ? 'nh' : 'th'},${offset * 8},${length * 8}`, 'bytes', length);
};

const metaKinds = {
  mark: source('meta mark', 'mark', 4),
  protocol: source('meta protocol', 'ethernet type', 2),
  l4proto: source('meta l4proto', 'protocol', 1),
  iifname: source('iifname', 'interface name', 16),
  oifname: source('oifname', 'interface name', 16),
  iif: source('iif', 'interface index', 4),
  oif: source('oif', 'interface index', 4),
} as const;

const ctKinds = { state: 'state', status: 'status', mark: 'mark' } as const;

/** The values that were loaded and not used yet, by their first registers. */
class Registers {
  readonly #held = new Map<Register, Held>();

  get empty(): boolean {
    return this.#held.size === 0;
  }

  /** False where it overwrites what was not used. */
  put(register: Register, held: Held): boolean {
    const end = register + registersOf(held.length);
    for (const [first, { length }] of this.#held)
      if (first < end && register < first + registersOf(length)) return false;
    this.#held.set(register, held);
    return true;
  }

  take(register: Register): Held | undefined {
    const held = this.#held.get(register);
    this.#held.delete(register);
    return held;
  }

  /** One after the other from the register on, as many as there are. */
  takeRun(register: Register): readonly Held[] {
    const run: Held[] = [];
    for (let at = register; ; ) {
      const held = this.take(at);
      if (held === undefined) return run;
      run.push(held);
      at += registersOf(held.length);
    }
  }
}

type Load = Extract<Expression, { kind: 'payload' | 'meta' | 'ct' | 'fib-type' | 'immediate' }>;
type Step = Exclude<Expression, Load | { kind: 'bitwise' }>;

const loads: ReadonlySet<string> = new Set<Load['kind']>(['payload', 'meta', 'ct', 'fib-type', 'immediate']);
const isLoad = (expression: Expression): expression is Load => loads.has(expression.kind);

const load = (expression: Load, family: Family): Held => {
  switch (expression.kind) {
    case 'payload':
      return fromPayload(expression, family);
    case 'meta':
      return metaKinds[expression.key];
    case 'ct':
      return source(`ct ${expression.key}`, ctKinds[expression.key], 4);
    case 'fib-type':
      return source(`fib ${expression.of === 'source' ? 'saddr' : 'daddr'} type`, 'address type', 4);
    case 'immediate': {
      const value = bytesOf(expression.value);
      return { ...source('', 'constant', value.length), value };
    }
  }
};

const mask = (
  { from, to, ...values }: Extract<Expression, { kind: 'bitwise' }>,
  registers: Registers,
): boolean => {
  const held = registers.take(from);
  const masked = { mask: bytesOf(values.mask), xor: bytesOf(values.xor) };
  const fits = held?.length === masked.mask.length && held.length === masked.xor.length;
  return (
    held !== undefined &&
    fits &&
    held.masked === undefined &&
    held.kind !== 'constant' &&
    registers.put(to, { ...held, masked })
  );
};

const lookupText = (
  { kind, set, inverted, from }: Extract<Expression, { kind: 'lookup' | 'verdict-map' }>,
  registers: Registers,
): string | undefined => {
  const fields = registers.takeRun(from).map(operand);
  if (fields.length === 0 || fields.includes(undefined)) return undefined;
  const sign = `${inverted === true ? '!= ' : ''}${kind === 'verdict-map' ? 'vmap ' : ''}`;
  return `${fields.join(' . ')} ${sign}@${set}`;
};

const portOf = (held: Held | undefined): number | undefined =>
  held?.value?.length === 2 && held.masked === undefined ? bigEndian(held.value) : undefined;

const masqueradeText = (
  { fullyRandom, ports }: Extract<Expression, { kind: 'masquerade' }>,
  registers: Registers,
): string | undefined => {
  const random = fullyRandom ? ' fully-random' : '';
  if (ports === undefined) return `masquerade${random}`;
  const lowest = portOf(registers.take(ports.from));
  const highest = ports.from === ports.to ? lowest : portOf(registers.take(ports.to));
  if (lowest === undefined || highest === undefined) return undefined;
  return `masquerade to :${lowest}${ports.from === ports.to ? '' : `-${highest}`}${random}`;
};

const destinationText = (held: Held | undefined, family: Family): string | undefined => {
  if (held === undefined || held.masked !== undefined) return undefined;
  const address =
    held.kind === 'address'
      ? held.text
      : formatValue('address', family === 'IPv4' ? 4 : 16, held.value ?? new Uint8Array(0));
  return address === undefined ? undefined : `dnat to ${address}`;
};

/** The words of a step that uses what was loaded; undefined where nft's words cannot say it. */
const statement = (
  expression: Step,
  family: Family,
  registers: Registers,
  counters: boolean,
): string | undefined => {
  switch (expression.kind) {
    case 'compare': {
      const held = registers.take(expression.from);
      return held && comparison(held, expression.operator, bytesOf(expression.value));
    }
    case 'lookup':
    case 'verdict-map':
      return lookupText(expression, registers);
    case 'meta-set': {
      const held = registers.take(expression.from);
      const mark = held && newMark(held);
      return mark && `meta mark set ${mark}`;
    }
    case 'masquerade':
      return masqueradeText(expression, registers);
    case 'destination-nat':
      return destinationText(registers.take(expression.address), family);
    case 'reject': {
      const icmp = family === 'IPv4' ? 'icmp' : 'icmpv6';
      return `reject with ${expression.with === 'tcp-reset' ? 'tcp reset' : `${icmp} port-unreachable`}`;
    }
    case 'verdict':
      return verdictText(expression);
    case 'counter':
      return counters ? `counter packets ${expression.packets} bytes ${expression.bytes}` : 'counter';
    case 'unknown':
      return `[ ${expression.name} ${expression.content} ]`;
  }
};

/** nft's words; undefined where they would leave something out: values that are never used, used twice or cut off. */
const plainWords = (
  family: Family,
  expressions: readonly Expression[],
  counters: boolean,
): readonly string[] | undefined => {
  const registers = new Registers();
  const words: string[] = [];
  for (const expression of expressions) {
    if (isLoad(expression)) {
      if (!registers.put(expression.to, load(expression, family))) return undefined;
    } else if (expression.kind === 'bitwise') {
      if (!mask(expression, registers)) return undefined;
    } else {
      const text = statement(expression, family, registers, counters);
      if (text === undefined || !registers.empty) return undefined;
      words.push(text);
    }
  }
  return registers.empty ? words : undefined;
};

const describePart = (value: unknown): string => {
  if (value instanceof Uint8Array) return hexBytes(value);
  return typeof value === 'object' && value !== null
    ? Object.entries(value)
        .map(([name, part]) => `${name} ${describePart(part)}`)
        .join(' ')
    : String(value);
};

/** Every part of an expression: `[ payload base network offset 12 length 4 to 0 ]`. */
const exactText = (expression: Expression, counters: boolean): string => {
  if (expression.kind === 'counter') return `[ ${statement(expression, 'IPv4', new Registers(), counters)} ]`;
  const parts = Object.entries(expression)
    .filter(([name, value]) => name !== 'kind' && value !== undefined && value !== false)
    .map(([name, value]): [string, unknown] =>
      name === 'value' || name === 'mask' || name === 'xor' ? [name, bytesOf(value)] : [name, value],
    )
    .toSorted(([one], [other]) => (one < other ? -1 : 1));
  return `[ ${[expression.kind, ...parts.map(([name, value]) => `${name} ${describePart(value)}`)].join(' ')} ]`;
};

/**
 * A rule of a table of the family as nft would print it. Two rules have the same text without counters if and only if they
 * do the same: what nft's words cannot say (`ip saddr & 255.255.255.0` inside of a concatenation they cannot either, but it
 * is clear) is told step by step in brackets.
 */
export const ruleText = (
  family: Family,
  { expressions, comment }: Rule,
  { counters = true }: { readonly counters?: boolean } = {},
): string =>
  [
    ...(plainWords(family, expressions, counters) ??
      expressions.map((expression) => exactText(expression, counters))),
    ...(comment === undefined ? [] : [`comment ${JSON.stringify(comment)}`]),
  ].join(' ');

const fieldTypes: Readonly<Record<KeyField, (family: Family) => string>> = {
  address: (family) => (family === 'IPv4' ? 'ipv4_addr' : 'ipv6_addr'),
  protocol: () => 'inet_proto',
  port: () => 'inet_service',
};

const elementText = ({ fields, chain, comment }: SetElement): string => {
  const key = fields.map((field) => String(field).replace(/^(TCP|UDP|SCTP)$/, (word) => word.toLowerCase()));
  const said = comment === undefined ? '' : ` comment ${JSON.stringify(comment)}`;
  return `${key.join(' . ')}${said}${chain === undefined ? '' : ` : goto ${chain}`}`;
};

const setLines = (
  family: Family,
  { name, key, verdicts, comment }: SetDeclaration,
  elements: readonly SetElement[],
): readonly string[] => [
  `\t${verdicts ? 'map' : 'set'} ${name} {`,
  `\t\ttype ${key.map((field) => fieldTypes[field](family)).join(' . ')}${verdicts ? ' : verdict' : ''}`,
  ...(comment === '' ? [] : [`\t\tcomment ${JSON.stringify(comment)}`]),
  ...(elements.length === 0
    ? []
    : [`\t\telements = { ${elements.map(elementText).join(',\n\t\t\t     ')} }`]),
  '\t}',
];

/** A table close to what `nft list table` prints; `elements` are those of each set, by its name. */
export const tableText = (
  { family, name, sets, chains }: TableDeclaration,
  elements: ReadonlyMap<string, readonly SetElement[]> = new Map(),
  options: { readonly counters?: boolean } = {},
): string => {
  const blocks = [
    ...sets.map((set) => setLines(family, set, elements.get(set.name) ?? [])),
    ...chains.map(({ name: chain, hook, rules }) => [
      `\tchain ${chain} {`,
      ...(hook === undefined
        ? []
        : [`\t\ttype ${hook.type} hook ${hook.hook} priority ${hook.priority}; policy ${hook.policy};`]),
      ...rules.map((rule) => `\t\t${ruleText(family, rule, options)}`),
      '\t}',
    ]),
  ];
  return [
    `table ${family === 'IPv4' ? 'ip' : 'ip6'} ${name} {`,
    blocks.map((lines) => lines.join('\n')).join('\n\n'),
    '}',
    '',
  ].join('\n');
};
