import {
  chainShape,
  elementsShape,
  NftablesMessage,
  ruleShape,
  setShape,
  tableShape,
} from '../../../src/kernel/nftables/attributes.js';
import {
  immediate,
  lookup,
  type ReceivedExpression,
} from '../../../src/kernel/nftables/expression-attributes.js';
import type { Decoded } from '../../../src/netlink/codec/attributes.js';
import { viewOf } from '../../../src/netlink/codec/bytes.js';
import { MessageFlag } from '../../../src/netlink/constants.js';
import type { Message } from '../../../src/netlink/message.js';
import { Refusal } from './answer.js';
import type { FakeChain, FakeRule, FakeTable, Ruleset } from './nftables-ruleset.js';

/** Gives false where everything is as it was. */
type Change = (draft: Ruleset, message: Message) => boolean;
type Element = NonNullable<Decoded<typeof elementsShape.attributes>['elements']>[number];

const has = ({ flags }: Message, flag: number): boolean => (flags & flag) !== 0;

const keyText = (element: Element): string => {
  if (element.key?.value === undefined) throw new Refusal('EINVAL');
  return Buffer.from(element.key.value).toString('hex');
};

/** The chains and sets that a rule or an element names, which must be in its table. */
const requireChain = (table: FakeTable, name: string | undefined): void => {
  if (name !== undefined && !table.chains.has(name)) throw new Refusal('ENOENT');
};

const referencesOf = ({ name, data }: ReceivedExpression): { chain?: string; set?: string } => {
  if (name === 'lookup') return { set: lookup.read(viewOf(data), 0, data.length).set };
  if (name !== 'immediate') return {};
  const { chain } = immediate.read(viewOf(data), 0, data.length).value.verdict ?? {};
  return chain === undefined ? {} : { chain };
};

const referencesIn = (table: FakeTable): readonly { chain?: string; set?: string }[] => [
  ...[...table.chains.values()].flatMap(({ rules }) =>
    rules.flatMap(({ values }) => (values.expressions ?? []).map(referencesOf)),
  ),
  ...[...table.sets.values()].flatMap(({ elements }) =>
    [...elements.values()].flatMap(({ data }) =>
      data?.verdict?.chain === undefined ? [] : [{ chain: data.verdict.chain }],
    ),
  ),
];

const newTable: Change = (draft, message) => {
  const { header, attributes } = tableShape.read(message);
  const { name, flags = 0 } = attributes;
  const found = draft.find(header.family, name);
  if (found === undefined) {
    const family = header.family ?? 'unspecified';
    draft.put({ family, name, flags, handle: draft.handle(), chains: new Map(), sets: new Map() });
    return true;
  }
  if (has(message, MessageFlag.exclusive)) throw new Refusal('EEXIST');
  if (found.flags === flags) return false;
  draft.put({ ...draft.editable(header.family, name), flags });
  return true;
};

const deleteTable: Change = (draft, message) => {
  const { header, attributes } = tableShape.read(message);
  draft.delete(draft.table(header.family, attributes.name));
  return true;
};

const sameHook = (a: FakeChain['values'], b: FakeChain['values']): boolean =>
  b.hook === undefined ||
  (a.type === b.type && a.hook?.hook === b.hook.hook && a.hook?.priority === b.hook.priority);

const newChain: Change = (draft, message) => {
  const { header, attributes } = chainShape.read(message);
  const table = draft.editable(header.family, attributes.table);
  const found = table.chains.get(attributes.name);
  if (found === undefined) {
    const policy = attributes.hook === undefined ? attributes.policy : (attributes.policy ?? 'accept');
    const values = { ...attributes, ...(policy === undefined ? {} : { policy }) };
    table.chains.set(attributes.name, { handle: draft.handle(), values, rules: [] });
    return true;
  }
  if (has(message, MessageFlag.exclusive) || !sameHook(found.values, attributes)) throw new Refusal('EEXIST');
  const { policy = found.values.policy } = attributes;
  const values = { ...found.values, ...(policy === undefined ? {} : { policy }) };
  table.chains.set(attributes.name, { ...found, values });
  return true;
};

const deleteChain: Change = (draft, message) => {
  const { header, attributes } = chainShape.read(message);
  const table = draft.editable(header.family, attributes.table);
  requireChain(table, attributes.name);
  if (referencesIn(table).some(({ chain }) => chain === attributes.name)) throw new Refusal('EBUSY');
  table.chains.delete(attributes.name);
  return true;
};

const newRule: Change = (draft, message) => {
  const { header, attributes } = ruleShape.read(message);
  const table = draft.editable(header.family, attributes.table);
  const found = table.chains.get(attributes.chain ?? '');
  if (found === undefined) throw new Refusal('ENOENT');
  for (const { chain, set } of (attributes.expressions ?? []).map(referencesOf)) {
    requireChain(table, chain);
    if (set !== undefined && !table.sets.has(set)) throw new Refusal('ENOENT');
  }
  const added: FakeRule = { handle: draft.handle(), values: attributes };
  const rules = has(message, MessageFlag.append) ? [...found.rules, added] : [added, ...found.rules];
  table.chains.set(found.values.name, { ...found, rules });
  return true;
};

/** Without a chain all rules of the table, without a handle all of the chain. */
const deleteRule: Change = (draft, message) => {
  const { header, attributes } = ruleShape.read(message);
  const table = draft.editable(header.family, attributes.table);
  requireChain(table, attributes.chain);
  let hasChanged = false;
  for (const [name, chain] of table.chains) {
    if (attributes.chain !== undefined && attributes.chain !== name) continue;
    const rules =
      attributes.handle === undefined ? [] : chain.rules.filter(({ handle }) => handle !== attributes.handle);
    if (attributes.handle !== undefined && rules.length === chain.rules.length) throw new Refusal('ENOENT');
    hasChanged ||= rules.length < chain.rules.length;
    table.chains.set(name, { ...chain, rules });
  }
  return hasChanged;
};

const newSet: Change = (draft, message) => {
  const { header, attributes } = setShape.read(message);
  const { name } = attributes;
  const table = draft.editable(header.family, attributes.table);
  if (name === undefined || attributes.keyLength === undefined) throw new Refusal('EINVAL');
  const found = table.sets.get(name);
  if (found !== undefined) {
    const isSame =
      found.values.flags === attributes.flags &&
      found.values.keyLength === attributes.keyLength &&
      found.values.dataType === attributes.dataType;
    if (has(message, MessageFlag.exclusive) || !isSame) throw new Refusal('EEXIST');
    return false;
  }
  if (!has(message, MessageFlag.create)) throw new Refusal('ENOENT');
  table.sets.set(name, { handle: draft.handle(), values: attributes, elements: new Map() });
  return true;
};

const deleteSet: Change = (draft, message) => {
  const { header, attributes } = setShape.read(message);
  const { name = '' } = attributes;
  const table = draft.editable(header.family, attributes.table);
  if (!table.sets.has(name)) throw new Refusal('ENOENT');
  if (referencesIn(table).some(({ set }) => set === name)) throw new Refusal('EBUSY');
  table.sets.delete(name);
  return true;
};

const sameData = (a: Element, b: Element): boolean =>
  a.data?.verdict?.code === b.data?.verdict?.code && a.data?.verdict?.chain === b.data?.verdict?.chain;

const newElements: Change = (draft, message) => {
  const { header, attributes } = elementsShape.read(message);
  const table = draft.editable(header.family, attributes.table);
  const { values, elements } = draft.editableSet(table, attributes.set);
  const before = elements.size;
  for (const element of attributes.elements ?? []) {
    if (element.key?.value?.length !== values.keyLength) throw new Refusal('EINVAL');
    requireChain(table, element.data?.verdict?.chain);
    const key = keyText(element);
    const found = elements.get(key);
    if (found === undefined) elements.set(key, element);
    else if (has(message, MessageFlag.exclusive) || !sameData(found, element)) throw new Refusal('EEXIST');
  }
  return elements.size > before;
};

/** Without elements all of the set. */
const deleteElements: Change = (draft, message) => {
  const { header, attributes } = elementsShape.read(message);
  const table = draft.editable(header.family, attributes.table);
  const { elements } = draft.editableSet(table, attributes.set);
  const before = elements.size;
  if (attributes.elements === undefined) elements.clear();
  for (const element of attributes.elements ?? [])
    if (!elements.delete(keyText(element))) throw new Refusal('ENOENT');
  return elements.size < before;
};

const changes: ReadonlyMap<number, Change> = new Map([
  [NftablesMessage.newTable, newTable],
  [NftablesMessage.deleteTable, deleteTable],
  [NftablesMessage.newChain, newChain],
  [NftablesMessage.deleteChain, deleteChain],
  [NftablesMessage.newRule, newRule],
  [NftablesMessage.deleteRule, deleteRule],
  [NftablesMessage.newSet, newSet],
  [NftablesMessage.deleteSet, deleteSet],
  [NftablesMessage.newElements, newElements],
  [NftablesMessage.deleteElements, deleteElements],
]);

/** Makes the change of one message in the draft; false where it changes nothing, a Refusal where the kernel does not take it. */
export const applyChange = (draft: Ruleset, message: Message): boolean => {
  const change = changes.get(message.type);
  if (change === undefined) throw new Refusal('EINVAL');
  return change(draft, message);
};
