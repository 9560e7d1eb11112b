import type { Family } from '../../base/ip.js';
import type {
  Chain,
  Rule,
  SetDeclaration,
  SetElement,
  TableDeclaration,
} from '../../nftables/declarations.js';
import type { ByteWriter } from '../../netlink/codec/bytes.js';
import { align, MessageFlag } from '../../netlink/constants.js';
import type { BodyShape, Message, Request } from '../../netlink/message.js';
import { netfilterFamilies, type NetfilterFamily } from '../nfnetlink.js';
import {
  chainShape,
  elementsShape,
  generationShape,
  NftablesMessage,
  ownerShape,
  ruleShape,
  setIsMap,
  setShape,
  tableShape,
  verdictDataType,
} from './attributes.js';
import { valuesOf } from './expressions.js';
import { keyBytes, keyLength, keyType } from './set-keys.js';
import { commentBytes, keyByteOrder, UserData, writeUserData } from './user-data.js';

/** One of the things that a transaction does. */
export type NftablesChange =
  /** Adds what is missing of the table, its sets and chains; replaces all rules of the table by the declared ones. */
  | { readonly kind: 'declare-table'; readonly declaration: TableDeclaration }
  /** With all that it holds. Before a `declare-table` of the same transaction: replaces it. */
  | { readonly kind: 'delete-table'; readonly family: Family; readonly name: string }
  | {
      readonly kind: 'add-elements' | 'delete-elements';
      readonly family: Family;
      readonly table: string;
      readonly set: SetDeclaration;
      readonly elements: readonly SetElement[];
    };

interface Shape<Values> extends BodyShape {
  write(writer: ByteWriter, header: { readonly family: NetfilterFamily }, values: Values): void;
}

interface Description<Values> {
  readonly type: number;
  readonly flags?: number;
  /** Undefined: of all families. */
  readonly family: Family | undefined;
  readonly operation: () => string;
  /** Asked for when the message is written. */
  readonly values: () => Values;
}

const request = <Values>(
  shape: Shape<Values>,
  { type, flags = 0, family, operation, values }: Description<Values>,
): Request => ({
  type,
  flags,
  operation,
  shape,
  write: (writer) => {
    const word = family === undefined ? 'unspecified' : netfilterFamilies[family];
    shape.write(writer, { family: word }, values());
  },
});

const textOfTable = (family: Family, name: string): string => `table ${netfilterFamilies[family]} ${name}`;

/** Of the number that every transaction raises. */
export const getGenerationRequest: Request = request(generationShape, {
  type: NftablesMessage.getGeneration,
  family: undefined,
  operation: () => 'read the generation of nftables',
  values: () => ({}),
});

export const getTableRequest = (family: Family, table: string): Request =>
  request(ownerShape, {
    type: NftablesMessage.getTable,
    family,
    operation: () => `read ${textOfTable(family, table)}`,
    values: () => ({ table }),
  });

/** The chains of all tables, of one family or of all. */
export const getChainsRequest = (family?: Family): Request =>
  request(ownerShape, {
    type: NftablesMessage.getChain,
    family,
    operation: () => 'list the chains of nftables',
    values: () => ({}),
  });

export const getRulesRequest = (family: Family, table: string): Request =>
  request(ownerShape, {
    type: NftablesMessage.getRule,
    family,
    operation: () => `list the rules of ${textOfTable(family, table)}`,
    values: () => ({ table }),
  });

export const getSetsRequest = (family: Family, table: string): Request =>
  request(ownerShape, {
    type: NftablesMessage.getSet,
    family,
    operation: () => `list the sets of ${textOfTable(family, table)}`,
    values: () => ({ table }),
  });

export const getElementsRequest = (family: Family, table: string, set: string): Request =>
  request(ownerShape, {
    type: NftablesMessage.getElements,
    family,
    operation: () => `list the elements of set ${set} of ${textOfTable(family, table)}`,
    values: () => ({ table, set }),
  });

const declareSet = (
  { family, name: table }: TableDeclaration,
  { name, key, verdicts, comment }: SetDeclaration,
  id: number,
): Request =>
  request(setShape, {
    type: NftablesMessage.newSet,
    flags: MessageFlag.create,
    family,
    operation: () => `declare set ${name} of ${textOfTable(family, table)}`,
    values: () => ({
      table,
      name,
      id,
      flags: verdicts ? setIsMap : 0,
      keyType: keyType(key, family),
      keyLength: keyLength(key, family),
      dataType: verdicts ? verdictDataType : undefined,
      userData: writeUserData([
        [UserData.setKeyByteOrder, keyByteOrder(key.length)],
        ...(comment === '' ? [] : ([[UserData.setComment, commentBytes(comment)]] as const)),
      ]),
    }),
  });

const declareChain = ({ family, name: table }: TableDeclaration, { name, hook }: Chain): Request =>
  request(chainShape, {
    type: NftablesMessage.newChain,
    flags: MessageFlag.create,
    family,
    operation: () => `declare chain ${name} of ${textOfTable(family, table)}`,
    values: () => ({
      table,
      name,
      ...(hook === undefined
        ? {}
        : {
            hook: { hook: hook.hook, priority: hook.priority },
            type: hook.type,
            policy: hook.policy,
          }),
    }),
  });

const declareRule = (
  { family, name: table }: TableDeclaration,
  chain: string,
  rule: Rule,
  index: number,
): Request =>
  request(ruleShape, {
    type: NftablesMessage.newRule,
    flags: MessageFlag.create | MessageFlag.append,
    family,
    operation: () => {
      const comment = rule.comment === undefined ? '' : ` ${JSON.stringify(rule.comment)}`;
      return `declare rule ${index + 1}${comment} of chain ${chain} of ${textOfTable(family, table)}`;
    },
    values: () => ({
      table,
      chain,
      expressions: rule.expressions.map((expression) => valuesOf(expression, family)),
      userData:
        rule.comment === undefined
          ? undefined
          : writeUserData([[UserData.ruleComment, commentBytes(rule.comment)]]),
    }),
  });

const declareTable = (declaration: TableDeclaration): readonly Request[] => {
  const { family, name, sets, chains } = declaration;
  return [
    request(tableShape, {
      type: NftablesMessage.newTable,
      family,
      operation: () => `declare ${textOfTable(family, name)}`,
      values: () => ({ name, flags: 0 }),
    }),
    ...sets.map((set, index) => declareSet(declaration, set, index + 1)),
    ...chains.map((chain) => declareChain(declaration, chain)),
    request(ruleShape, {
      type: NftablesMessage.deleteRule,
      family,
      operation: () => `delete all rules of ${textOfTable(family, name)}`,
      values: () => ({ table: name }),
    }),
    ...chains.flatMap((chain) =>
      chain.rules.map((rule, ruleIndex) => declareRule(declaration, chain.name, rule, ruleIndex)),
    ),
  ];
};

const deleteTable = (family: Family, name: string): Request =>
  request(tableShape, {
    type: NftablesMessage.deleteTable,
    family,
    operation: () => `delete ${textOfTable(family, name)}`,
    values: () => ({ name }),
  });

type ElementsChange = Extract<NftablesChange, { readonly elements: unknown }>;

/** A list of elements is an attribute, which has at most 65,535 bytes. */
const maxListBytes = 60_000;

/** Headers of list item, key and its value; of data, verdict, its code and its chain; of user data and the comment in it. */
const elementBytes = (keyBytesOfSet: number, { chain, comment }: SetElement): number =>
  12 +
  align(keyBytesOfSet) +
  (chain === undefined ? 0 : 20 + align(3 * chain.length + 1)) +
  (comment === undefined ? 0 : 4 + align(3 * comment.length + 3));

const textOfElement = ({ fields }: SetElement): string => fields.join(' . ');

const describeElements = (elements: readonly SetElement[]): string => {
  const [first, last] = [elements.at(0), elements.at(-1)];
  if (first === undefined || last === undefined) return 'no elements';
  return elements.length === 1
    ? `element ${textOfElement(first)}`
    : `${elements.length} elements ${textOfElement(first)} to ${textOfElement(last)}`;
};

const changeElements = (
  { kind, family, table, set }: ElementsChange,
  elements: readonly SetElement[],
): Request => {
  const adding = kind === 'add-elements';
  const [verb, preposition] = adding ? ['add', 'to'] : ['delete', 'from'];
  const changed = request(elementsShape, {
    type: adding ? NftablesMessage.newElements : NftablesMessage.deleteElements,
    flags: adding ? MessageFlag.create : 0,
    family,
    operation: () =>
      `${verb} ${describeElements(elements)} ${preposition} set ${set.name} of ${textOfTable(family, table)}`,
    values: () => ({
      table,
      set: set.name,
      elements: elements.map(({ fields, chain, comment }) => ({
        key: { value: keyBytes(set.key, fields, family) },
        ...(set.verdicts && adding && chain !== undefined
          ? { data: { verdict: { code: 'goto' as const, chain } } }
          : {}),
        ...(adding && comment !== undefined
          ? { userData: writeUserData([[UserData.elementComment, commentBytes(comment)]]) }
          : {}),
      })),
    }),
  });
  return { ...changed, shape: withElementPaths(changed.shape, elements) };
};

/** Where the kernel points at an element of the list, which newer kernels do, its fields say more than its place. */
const withElementPaths = (shape: BodyShape, elements: readonly SetElement[]): BodyShape => ({
  name: shape.name,
  describe: (message: Message) => shape.describe(message),
  pathAt: (message, offsetFromHeader) => {
    const path = shape.pathAt(message, offsetFromHeader);
    const element = elements[Number(/^elements\.(\d+)/.exec(path ?? '')?.[1] ?? Number.NaN)];
    return element === undefined ? path : `element ${textOfElement(element)}`;
  },
});

const elementRequests = (change: ElementsChange): readonly Request[] => {
  const keyBytesOfSet = keyLength(change.set.key, change.family);
  const requests: Request[] = [];
  let begin = 0;
  let bytes = 0;
  for (const [index, element] of change.elements.entries()) {
    const more = elementBytes(keyBytesOfSet, element);
    if (bytes + more > maxListBytes) {
      requests.push(changeElements(change, change.elements.slice(begin, index)));
      begin = index;
      bytes = 0;
    }
    bytes += more;
  }
  if (begin < change.elements.length) requests.push(changeElements(change, change.elements.slice(begin)));
  return requests;
};

/** The messages that make a change, in their order. */
export const requestsFor = (change: NftablesChange): readonly Request[] => {
  switch (change.kind) {
    case 'declare-table':
      return declareTable(change.declaration);
    case 'delete-table':
      return [deleteTable(change.family, change.name)];
    case 'add-elements':
    case 'delete-elements':
      return elementRequests(change);
  }
};
