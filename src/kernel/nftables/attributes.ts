import {
  attributes,
  attr,
  list,
  optional,
  received,
  type AttributeSet,
} from '../../netlink/codec/attributes.js';
import { MessageShape, type BodyShape, type Message } from '../../netlink/message.js';
import { be32, be64, cstring, enumeration, rawBytes, sbe32 } from '../../netlink/codec/scalars.js';
import { batchShapes, messageType, nfnetlinkHeader, Subsystem } from '../nfnetlink.js';
import { data, expression } from './expression-attributes.js';

/** include/uapi/linux/netfilter/nf_tables.h: NFT_MSG_* */
const Command = {
  newTable: 0,
  getTable: 1,
  deleteTable: 2,
  newChain: 3,
  getChain: 4,
  deleteChain: 5,
  newRule: 6,
  getRule: 7,
  deleteRule: 8,
  newSet: 9,
  getSet: 10,
  deleteSet: 11,
  newElements: 12,
  getElements: 13,
  deleteElements: 14,
  newGeneration: 15,
  getGeneration: 16,
} as const;

type Command = keyof typeof Command;
type AttributeSetSpecs = ConstructorParameters<typeof AttributeSet>[1];

/** The netlink message type of each command. */
export const NftablesMessage = Object.fromEntries(
  Object.entries(Command).map(([name, command]) => [name, messageType(Subsystem.nftables, command)]),
) as Readonly<Record<Command, number>>;

/** include/uapi/linux/netfilter/nf_tables.h: NFT_TABLE_F_DORMANT: packets do not enter its chains. */
export const tableIsDormant = 0x1;

/** include/uapi/linux/netfilter/nf_tables.h: NFT_SET_MAP */
export const setIsMap = 0x8;

/** include/uapi/linux/netfilter/nf_tables.h: NFT_DATA_VERDICT, the data type of verdict maps */
export const verdictDataType = 0xffffff00;

const userData = rawBytes(0, 256);

/** include/uapi/linux/netfilter/nf_tables.h: NFTA_TABLE_* */
export const table = attributes('table', {
  name: attr(1, cstring),
  flags: optional(2, be32),
  uses: received(3, be32),
  handle: received(4, be64),
  userData: received(6, userData),
});

/** include/uapi/linux/netfilter.h: NF_INET_* */
const hookNumber = enumeration(be32, { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 });

/** include/uapi/linux/netfilter/nf_tables.h: NFTA_HOOK_* */
const hook = attributes('hook', { hook: attr(1, hookNumber), priority: attr(2, sbe32) });

/** include/uapi/linux/netfilter.h: NF_DROP, NF_ACCEPT */
const policy = enumeration(be32, { drop: 0, accept: 1 });

/** include/uapi/linux/netfilter/nf_tables.h: NFTA_CHAIN_* */
export const chain = attributes('chain', {
  table: attr(1, cstring),
  name: attr(3, cstring),
  hook: optional(4, hook),
  policy: optional(5, policy),
  type: optional(7, cstring),
  handle: received(2, be64),
  uses: received(6, be32),
  flags: received(10, be32),
  userData: received(12, userData),
});

/** include/uapi/linux/netfilter/nf_tables.h: NFTA_RULE_*. Without a chain, or a chain without expressions: all rules of it. */
export const rule = attributes('rule', {
  table: attr(1, cstring),
  chain: optional(2, cstring),
  expressions: optional(4, list(1, expression)),
  userData: optional(7, userData),
  handle: optional(3, be64),
  position: received(6, be64),
});

/** include/uapi/linux/netfilter/nf_tables.h: NFTA_SET_DESC_* */
const setDescription = attributes('set-description', { size: received(1, be32) });

/** include/uapi/linux/netfilter/nf_tables.h: NFTA_SET_*. The id is for other messages of the transaction. */
export const set = attributes('set', {
  table: attr(1, cstring),
  name: optional(2, cstring),
  flags: optional(3, be32),
  keyType: optional(4, be32),
  keyLength: optional(5, be32),
  dataType: optional(6, be32),
  dataLength: optional(7, be32),
  id: optional(10, be32),
  userData: optional(13, userData),
  policy: received(8, be32),
  description: received(9, setDescription),
  handle: received(16, be64),
});

/** include/uapi/linux/netfilter/nf_tables.h: NFTA_SET_ELEM_* */
export const element = attributes('element', {
  key: optional(1, data),
  data: optional(2, data),
  flags: received(3, be32),
  userData: optional(6, userData),
});

/** include/uapi/linux/netfilter/nf_tables.h: NFTA_SET_ELEM_LIST_* */
export const elements = attributes('elements', {
  table: attr(1, cstring),
  set: attr(2, cstring),
  elements: optional(3, list(1, element)),
});

/** include/uapi/linux/netfilter/nf_tables.h: NFTA_GEN_* */
export const generation = attributes('generation', {
  id: received(1, be32),
  processId: received(2, be32),
  processName: received(3, cstring),
});

/** The attributes that messages about all kinds of objects share: NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, … are all 1. `set`: of elements. */
const owner = attributes('owner', { table: optional(1, cstring), set: optional(2, cstring) });

export const tableShape = new MessageShape('table', nfnetlinkHeader, table);
export const chainShape = new MessageShape('chain', nfnetlinkHeader, chain);
export const ruleShape = new MessageShape('rule', nfnetlinkHeader, rule);
export const setShape = new MessageShape('set', nfnetlinkHeader, set);
export const elementsShape = new MessageShape('elements', nfnetlinkHeader, elements);
export const generationShape = new MessageShape('generation', nfnetlinkHeader, generation);
/** For queries and events. */
export const ownerShape = new MessageShape('owner', nfnetlinkHeader, owner);

const traced = new Map<number, BodyShape>();
const trace = <R extends AttributeSetSpecs>(table: AttributeSet<R>, commands: readonly Command[]): void => {
  for (const command of commands)
    traced.set(NftablesMessage[command], new MessageShape(`nftables ${command}`, nfnetlinkHeader, table));
};
trace(table, ['newTable', 'getTable', 'deleteTable']);
trace(chain, ['newChain', 'getChain', 'deleteChain']);
trace(rule, ['newRule', 'getRule', 'deleteRule']);
trace(set, ['newSet', 'getSet', 'deleteSet']);
trace(elements, ['newElements', 'getElements', 'deleteElements']);
trace(generation, ['newGeneration', 'getGeneration']);

/** For traces. */
export const nftablesShapeOf = (message: Message): BodyShape | undefined =>
  traced.get(message.type) ?? batchShapes[message.type as keyof typeof batchShapes];
