import type { Request } from '../../netlink/message.js';
import type { NetfilterFamily } from '../nfnetlink.js';
import { generationShape, NftablesMessage, ownerShape, ruleShape } from './attributes.js';
import { nftablesRequest } from './nftables-request.js';
import { formatChain, formatTable, type ChainId, type TableId } from './object-ids.js';

/** Of the number that every transaction raises. */
export const getGenerationRequest: Request = nftablesRequest(generationShape, {
  type: NftablesMessage.getGeneration,
  family: 'unspecified',
  operation: () => 'read the generation of nftables',
  values: () => ({}),
});

export const getTableRequest = (id: TableId): Request =>
  nftablesRequest(ownerShape, {
    type: NftablesMessage.getTable,
    family: id.family,
    operation: () => `read ${formatTable(id)}`,
    values: () => ({ table: id.table }),
  });

/** The tables of all families. */
export const getTablesRequest: Request = nftablesRequest(ownerShape, {
  type: NftablesMessage.getTable,
  family: 'unspecified',
  operation: () => 'list the tables of nftables',
  values: () => ({}),
});

/** The chains of all tables, of one family or of all. */
export const getChainsRequest = (family: NetfilterFamily): Request =>
  nftablesRequest(ownerShape, {
    type: NftablesMessage.getChain,
    family,
    operation: () => 'list the chains of nftables',
    values: () => ({}),
  });

/** The rules of all tables. */
export const getAllRulesRequest: Request = nftablesRequest(ownerShape, {
  type: NftablesMessage.getRule,
  family: 'unspecified',
  operation: () => 'list the rules of nftables',
  values: () => ({}),
});

export const getTableRulesRequest = (id: TableId): Request =>
  nftablesRequest(ownerShape, {
    type: NftablesMessage.getRule,
    family: id.family,
    operation: () => `list the rules of ${formatTable(id)}`,
    values: () => ({ table: id.table }),
  });

export const getChainRulesRequest = (id: ChainId): Request =>
  nftablesRequest(ruleShape, {
    type: NftablesMessage.getRule,
    family: id.family,
    operation: () => `list the rules of ${formatChain(id)}`,
    values: () => ({ table: id.table, chain: id.chain }),
  });

export const getSetsRequest = (id: TableId): Request =>
  nftablesRequest(ownerShape, {
    type: NftablesMessage.getSet,
    family: id.family,
    operation: () => `list the sets of ${formatTable(id)}`,
    values: () => ({ table: id.table }),
  });

export const getElementsRequest = (id: TableId, set: string): Request =>
  nftablesRequest(ownerShape, {
    type: NftablesMessage.getElements,
    family: id.family,
    operation: () => `list the elements of set ${set} of ${formatTable(id)}`,
    values: () => ({ table: id.table, set }),
  });
