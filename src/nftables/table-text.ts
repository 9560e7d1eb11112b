import type { Family } from '../base/ip.js';
import {
  bigEndian,
  comparisonText,
  formatValue,
  hexBytes,
  hexUint32,
  markValueText,
  operandText,
  registerCountOf,
  type LoadedValue,
  type ValueKind,
} from './value-text.js';
import { registerBytesOf } from './register-value.js';
import type {
  Expression,
  KeyField,
  Register,
  Rule,
  SetDeclaration,
  SetElement,
  TableDeclaration,
  Verdict,
} from './declarations.js';

const verdictText = (verdict: Verdict): string =>
  'chain' in verdict ? `${verdict.verdict} ${verdict.chain}` : verdict.verdict;

const addressOffsets: Readonly<Record<Family, Readonly<Record<number, string>>>> = {
  IPv4: { 12: 'ip saddr', 16: 'ip daddr' },
  IPv6: { 8: 'ip6 saddr', 24: 'ip6 daddr' },
};
const portOffsets: Readonly<Record<number, string>> = { 0: 'th sport', 2: 'th dport' };

const valueFrom = (text: string, kind: ValueKind, length: number): LoadedValue => ({
  text,
  kind,
  length,
  bitwise: undefined,
  value: undefined,
});

const payloadValue = (
  { base, offset, length }: Extract<Expression, { kind: 'payload' }>,
  family: Family,
): LoadedValue => {
  const address = addressOffsets[family][offset];
  if (base === 'network' && address !== undefined && length === (family === 'IPv4' ? 4 : 16))
    return valueFrom(address, 'address', length);
  const port = portOffsets[offset];
  if (base === 'transport' && port !== undefined && length === 2) return valueFrom(port, 'port', 2);
  return valueFrom(`@${base === 'network' ? 'nh' : 'th'},${offset * 8},${length * 8}`, 'bytes', length);
};

const metaKinds = {
  mark: valueFrom('meta mark', 'mark', 4),
  priority: valueFrom('meta priority', 'priority', 4),
  protocol: valueFrom('meta protocol', 'ethernet type', 2),
  l4proto: valueFrom('meta l4proto', 'protocol', 1),
  iifname: valueFrom('iifname', 'interface name', 16),
  oifname: valueFrom('oifname', 'interface name', 16),
  iif: valueFrom('iif', 'interface index', 4),
  oif: valueFrom('oif', 'interface index', 4),
  random: valueFrom('meta random', 'number', 4),
} as const;

const ctKinds = { state: 'state', status: 'status', mark: 'mark' } as const;

/** Loaded values that are not used yet, by their first registers. */
class Registers {
  readonly #values = new Map<Register, LoadedValue>();

  get isEmpty(): boolean {
    return this.#values.size === 0;
  }

  /** False where it overwrites an unused value. */
  put(register: Register, held: LoadedValue): boolean {
    const end = register + registerCountOf(held.length);
    for (const [first, { length }] of this.#values)
      if (first < end && register < first + registerCountOf(length)) return false;
    this.#values.set(register, held);
    return true;
  }

  take(register: Register): LoadedValue | undefined {
    const held = this.#values.get(register);
    this.#values.delete(register);
    return held;
  }

  /** All consecutive values from the register on. */
  takeConsecutive(register: Register): readonly LoadedValue[] {
    const run: LoadedValue[] = [];
    for (let at = register; ; ) {
      const held = this.take(at);
      if (held === undefined) return run;
      run.push(held);
      at += registerCountOf(held.length);
    }
  }
}

type LoadExpression = Extract<Expression, { kind: 'payload' | 'meta' | 'ct' | 'fib-type' | 'immediate' }>;
type StatementExpression = Exclude<Expression, LoadExpression | { kind: 'bitwise' | 'mark-map' }>;

const loadKinds: ReadonlySet<string> = new Set<LoadExpression['kind']>([
  'payload',
  'meta',
  'ct',
  'fib-type',
  'immediate',
]);
const isLoad = (expression: Expression): expression is LoadExpression => loadKinds.has(expression.kind);

const loadedValueOf = (expression: LoadExpression, family: Family): LoadedValue => {
  switch (expression.kind) {
    case 'payload':
      return payloadValue(expression, family);
    case 'meta':
      return metaKinds[expression.key];
    case 'ct':
      return valueFrom(`ct ${expression.key}`, ctKinds[expression.key], 4);
    case 'fib-type':
      return valueFrom(`fib ${expression.of === 'source' ? 'saddr' : 'daddr'} type`, 'address type', 4);
    case 'immediate': {
      const value = registerBytesOf(expression.value);
      return { ...valueFrom('', 'constant', value.length), value };
    }
  }
};

const applyBitwise = (
  { from, to, ...values }: Extract<Expression, { kind: 'bitwise' }>,
  registers: Registers,
): boolean => {
  const held = registers.take(from);
  const masked = { mask: registerBytesOf(values.mask), xor: registerBytesOf(values.xor) };
  const fits = held?.length === masked.mask.length && held.length === masked.xor.length;
  return (
    held !== undefined &&
    fits &&
    held.bitwise === undefined &&
    held.kind !== 'constant' &&
    registers.put(to, { ...held, bitwise: masked })
  );
};

const lookupText = (
  { kind, set, inverted, from }: Extract<Expression, { kind: 'lookup' | 'verdict-map' }>,
  registers: Registers,
): string | undefined => {
  const fields = registers.takeConsecutive(from).map(operandText);
  if (fields.length === 0 || fields.includes(undefined)) return undefined;
  const sign = `${inverted === true ? '!= ' : ''}${kind === 'verdict-map' ? 'vmap ' : ''}`;
  return `${fields.join(' . ')} ${sign}@${set}`;
};

/** `ip daddr map @marks` */
const applyMarkMap = (
  { set, from, to }: Extract<Expression, { kind: 'mark-map' }>,
  registers: Registers,
): boolean => {
  const fields = registers.takeConsecutive(from).map(operandText);
  if (fields.length === 0 || fields.includes(undefined)) return false;
  return registers.put(to, valueFrom(`${fields.join(' . ')} map @${set}`, 'mark', 4));
};

const constantPortOf = (held: LoadedValue | undefined): number | undefined =>
  held?.value?.length === 2 && held.bitwise === undefined ? bigEndian(held.value) : undefined;

const masqueradeText = (
  { fullyRandom, ports }: Extract<Expression, { kind: 'masquerade' }>,
  registers: Registers,
): string | undefined => {
  const random = fullyRandom ? ' fully-random' : '';
  if (ports === undefined) return `masquerade${random}`;
  const lowest = constantPortOf(registers.take(ports.from));
  const highest = ports.from === ports.to ? lowest : constantPortOf(registers.take(ports.to));
  if (lowest === undefined || highest === undefined) return undefined;
  return `masquerade to :${lowest}${ports.from === ports.to ? '' : `-${highest}`}${random}`;
};

const destinationText = (held: LoadedValue | undefined, family: Family): string | undefined => {
  if (held === undefined || held.bitwise !== undefined) return undefined;
  const address =
    held.kind === 'address'
      ? held.text
      : formatValue('address', family === 'IPv4' ? 4 : 16, held.value ?? new Uint8Array(0));
  return address === undefined ? undefined : `dnat to ${address}`;
};

/** The text of an expression that uses loaded values; undefined where nft's syntax cannot express it. */
const statementText = (
  expression: StatementExpression,
  family: Family,
  registers: Registers,
  counters: boolean,
): string | undefined => {
  switch (expression.kind) {
    case 'compare': {
      const held = registers.take(expression.from);
      return held && comparisonText(held, expression.operator, registerBytesOf(expression.value));
    }
    case 'lookup':
    case 'verdict-map':
      return lookupText(expression, registers);
    case 'meta-set': {
      const held = registers.take(expression.from);
      const mark = held && expression.key === 'mark' ? markValueText(held) : undefined;
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

/** The rule in nft's syntax; undefined where the syntax would lose something: values that are unused, used twice or truncated. */
const nftStatements = (
  family: Family,
  expressions: readonly Expression[],
  counters: boolean,
): readonly string[] | undefined => {
  const registers = new Registers();
  const words: string[] = [];
  for (const expression of expressions) {
    if (isLoad(expression)) {
      if (!registers.put(expression.to, loadedValueOf(expression, family))) return undefined;
    } else if (expression.kind === 'bitwise') {
      if (!applyBitwise(expression, registers)) return undefined;
    } else if (expression.kind === 'mark-map') {
      if (!applyMarkMap(expression, registers)) return undefined;
    } else {
      const text = statementText(expression, family, registers, counters);
      if (text === undefined || !registers.isEmpty) return undefined;
      words.push(text);
    }
  }
  return registers.isEmpty ? words : undefined;
};

const partText = (value: unknown): string => {
  if (value instanceof Uint8Array) return hexBytes(value);
  return typeof value === 'object' && value !== null
    ? Object.entries(value)
        .map(([name, part]) => `${name} ${partText(part)}`)
        .join(' ')
    : String(value);
};

/** All fields of an expression: `[ payload base network offset 12 length 4 to 0 ]`. */
const bracketedText = (expression: Expression, counters: boolean): string => {
  if (expression.kind === 'counter')
    return `[ ${statementText(expression, 'IPv4', new Registers(), counters)} ]`;
  const parts = Object.entries(expression)
    .filter(([name, value]) => name !== 'kind' && value !== undefined && value !== false)
    .map(([name, value]): [string, unknown] =>
      name === 'value' || name === 'mask' || name === 'xor' ? [name, registerBytesOf(value)] : [name, value],
    )
    .toSorted(([one], [other]) => (one < other ? -1 : 1));
  return `[ ${[expression.kind, ...parts.map(([name, value]) => `${name} ${partText(value)}`)].join(' ')} ]`;
};

/**
 * A rule of a table of the family as nft would print it. Two rules have the same text without counters if and only if they do the
 * same: a rule that nft's syntax cannot express is printed expression by expression in brackets.
 */
export const ruleText = (
  family: Family,
  { expressions, comment }: Rule,
  { counters = true }: { readonly counters?: boolean } = {},
): string =>
  [
    ...(nftStatements(family, expressions, counters) ??
      expressions.map((expression) => bracketedText(expression, counters))),
    ...(comment === undefined ? [] : [`comment ${JSON.stringify(comment)}`]),
  ].join(' ');

const fieldTypes: Readonly<Record<KeyField, (family: Family) => string>> = {
  address: (family) => (family === 'IPv4' ? 'ipv4_addr' : 'ipv6_addr'),
  protocol: () => 'inet_proto',
  port: () => 'inet_service',
  mark: () => 'mark',
};

/** What an element of a map leads to. */
export const elementDataText = ({ chain, mark }: Pick<SetElement, 'chain' | 'mark'>): string => {
  if (mark !== undefined) return ` : ${hexUint32(mark)}`;
  return chain === undefined ? '' : ` : goto ${chain}`;
};

const elementText = ({ fields, chain, mark, comment }: SetElement): string => {
  const key = fields.map((field) => String(field).replace(/^(TCP|UDP|SCTP)$/, (word) => word.toLowerCase()));
  const commentText = comment === undefined ? '' : ` comment ${JSON.stringify(comment)}`;
  return `${key.join(' . ')}${commentText}${elementDataText({ chain, mark })}`;
};

const setLines = (
  family: Family,
  { name, key, verdicts, marks = false, comment }: SetDeclaration,
  elements: readonly SetElement[],
): readonly string[] => [
  `\t${verdicts || marks ? 'map' : 'set'} ${name} {`,
  `\t\ttype ${key.map((field) => fieldTypes[field](family)).join(' . ')}${verdicts ? ' : verdict' : ''}${marks ? ' : mark' : ''}`,
  ...(comment === '' ? [] : [`\t\tcomment ${JSON.stringify(comment)}`]),
  ...(elements.length === 0
    ? []
    : [`\t\telements = { ${elements.map(elementText).join(',\n\t\t\t     ')} }`]),
  '\t}',
];

/** A table almost as `nft list table` prints it; `elements` by the name of their set. */
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
