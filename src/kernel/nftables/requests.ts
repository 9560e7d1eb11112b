import type { Chain, Rule, SetDeclaration, TableDeclaration } from '../../nftables/declarations.js';
import { MessageFlag } from '../../netlink/constants.js';
import type { Request } from '../../netlink/message.js';
import { netfilterFamilies } from '../nfnetlink.js';
import {
  chainShape,
  NftablesMessage,
  ruleShape,
  setIsMap,
  setShape,
  tableShape,
  verdictDataType,
} from './attributes.js';
import type { NftablesChange } from './changes.js';
import { elementRequests } from './element-requests.js';
import { valuesOf } from './expressions.js';
import { nftablesRequest } from './nftables-request.js';
import { formatChain, formatTable, type ChainId, type RuleId, type TableId } from './object-ids.js';
import { keyLength, keyType, markDataType, markLength } from './set-keys.js';
import { byteOrder, commentBytes, UserData, writeUserData } from './user-data.js';

const idOf = ({ family, name }: Pick<TableDeclaration, 'family' | 'name'>): TableId => ({
  family: netfilterFamilies[family],
  table: name,
});

const keyByteOrder = (key: SetDeclaration['key']): Uint8Array => {
  if (key.length > 1) return byteOrder('invalid');
  return byteOrder(key[0] === 'mark' ? 'host' : 'big-endian');
};

/** The kind of a map's data. */
const dataValues = ({ verdicts, marks }: SetDeclaration) => {
  if (marks === true) return { flags: setIsMap, dataType: markDataType, dataLength: markLength };
  return verdicts ? { flags: setIsMap, dataType: verdictDataType } : { flags: 0 };
};

const declareSet = (declaration: TableDeclaration, set: SetDeclaration, id: number): Request => {
  const { family, table } = idOf(declaration);
  const { name, key, marks, comment } = set;
  return nftablesRequest(setShape, {
    type: NftablesMessage.newSet,
    flags: MessageFlag.create,
    family,
    operation: () => `declare set ${name} of ${formatTable({ family, table })}`,
    values: () => ({
      table,
      name,
      id,
      ...dataValues(set),
      keyType: keyType(key, declaration.family),
      keyLength: keyLength(key, declaration.family),
      userData: writeUserData([
        [UserData.setKeyByteOrder, keyByteOrder(key)],
        ...(marks === true ? ([[UserData.setDataByteOrder, byteOrder('host')]] as const) : []),
        ...(comment === '' ? [] : ([[UserData.setComment, commentBytes(comment)]] as const)),
      ]),
    }),
  });
};

const declareChain = (id: TableId, { name, hook }: Chain): Request =>
  nftablesRequest(chainShape, {
    type: NftablesMessage.newChain,
    flags: MessageFlag.create,
    family: id.family,
    operation: () => `declare ${formatChain({ ...id, chain: name })}`,
    values: () => ({
      table: id.table,
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

/** Without NLM_F_APPEND the kernel makes it the first rule of the chain. */
const addRule = (
  { family, table, chain }: ChainId,
  { expressions, comment }: Rule,
  { flags, operation }: Pick<Request, 'flags' | 'operation'>,
): Request =>
  nftablesRequest(ruleShape, {
    type: NftablesMessage.newRule,
    flags: MessageFlag.create | flags,
    family,
    operation,
    values: () => ({
      table,
      chain,
      expressions: expressions.map((expression) => valuesOf(expression, family === 'ip6' ? 'IPv6' : 'IPv4')),
      userData:
        comment === undefined ? undefined : writeUserData([[UserData.ruleComment, commentBytes(comment)]]),
    }),
  });

const formatComment = ({ comment }: Rule): string =>
  comment === undefined ? '' : ` ${JSON.stringify(comment)}`;

const declareRule = (id: ChainId, rule: Rule, index: number): Request =>
  addRule(id, rule, {
    flags: MessageFlag.append,
    operation: () => `declare rule ${index + 1}${formatComment(rule)} of ${formatChain(id)}`,
  });

const declareTable = (declaration: TableDeclaration): readonly Request[] => {
  const { sets, chains } = declaration;
  const id = idOf(declaration);
  const { family, table } = id;
  return [
    nftablesRequest(tableShape, {
      type: NftablesMessage.newTable,
      family,
      operation: () => `declare ${formatTable(id)}`,
      values: () => ({ name: table, flags: 0 }),
    }),
    ...sets.map((set, index) => declareSet(declaration, set, index + 1)),
    ...chains.map((chain) => declareChain(id, chain)),
    nftablesRequest(ruleShape, {
      type: NftablesMessage.deleteRule,
      family,
      operation: () => `delete all rules of ${formatTable(id)}`,
      values: () => ({ table }),
    }),
    ...chains.flatMap((chain) =>
      chain.rules.map((rule, index) => declareRule({ ...id, chain: chain.name }, rule, index)),
    ),
  ];
};

const deleteTable = (id: TableId): Request =>
  nftablesRequest(tableShape, {
    type: NftablesMessage.deleteTable,
    family: id.family,
    operation: () => `delete ${formatTable(id)}`,
    values: () => ({ name: id.table }),
  });

const deleteRule = ({ family, table, chain, handle }: RuleId): Request =>
  nftablesRequest(ruleShape, {
    type: NftablesMessage.deleteRule,
    family,
    operation: () => `delete rule ${handle} of ${formatChain({ family, table, chain })}`,
    values: () => ({ table, chain, handle }),
  });

const flushChain = ({ family, table, chain }: ChainId): Request =>
  nftablesRequest(ruleShape, {
    type: NftablesMessage.deleteRule,
    family,
    operation: () => `delete all rules of ${formatChain({ family, table, chain })}`,
    values: () => ({ table, chain }),
  });

const deleteChain = (id: ChainId): Request =>
  nftablesRequest(chainShape, {
    type: NftablesMessage.deleteChain,
    family: id.family,
    operation: () => `delete ${formatChain(id)}`,
    values: () => ({ table: id.table, name: id.chain }),
  });

/** The messages that make a change, in their order. */
export const requestsFor = (change: NftablesChange): readonly Request[] => {
  switch (change.kind) {
    case 'declare-table':
      return declareTable(change.declaration);
    case 'delete-table':
      return [deleteTable(idOf(change))];
    case 'add-elements':
    case 'delete-elements':
      return elementRequests(change);
    case 'insert-rule': {
      const { chain, rule } = change;
      const operation = () => `insert rule${formatComment(rule)} into ${formatChain(chain)}`;
      return [addRule(chain, rule, { flags: 0, operation })];
    }
    case 'delete-rule':
      return [deleteRule(change.rule)];
    case 'flush-chain':
      return [flushChain(change.chain)];
    case 'delete-chain':
      return [deleteChain(change.chain)];
  }
};
