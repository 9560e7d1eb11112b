import type { Family } from '../../base/ip.js';
import type {
  BaseChainHook,
  Chain,
  Rule,
  SetDeclaration,
  SetElement,
  TableDeclaration,
  Verdict,
} from '../../nftables/declarations.js';
import type { Decoded } from '../../netlink/codec/attributes.js';
import { Connection, type SentCounts } from '../../netlink/connection.js';
import type { Reopened } from '../../netlink/reopening-channel.js';
import { NetlinkError, ProtocolError } from '../../netlink/errors.js';
import type { Request } from '../../netlink/message.js';
import { batchFrame, netfilterFamilies, Subsystem } from '../nfnetlink.js';
import {
  chainShape,
  type element,
  elementsShape,
  generationShape,
  nftablesShapeOf,
  ruleShape,
  setShape,
  tableIsDormant,
  tableShape,
} from './attributes.js';
import type { NftablesChange } from './changes.js';
import { elementFrom, hookFrom, ruleFrom, setFrom } from './convert.js';
import type { ReceivedExpression } from './expression-attributes.js';
import { verdictFrom } from './expressions.js';
import { formatTable, isTableFamily, type ChainId, type RuleId, type TableId } from './object-ids.js';
import { probeTable, unsupportedErrnos } from './probe-table.js';
import {
  getAllRulesRequest,
  getChainRulesRequest,
  getChainsRequest,
  getElementsRequest,
  getGenerationRequest,
  getSetsRequest,
  getTableRequest,
  getTableRulesRequest,
  getTablesRequest,
} from './queries.js';
import { requestsFor } from './requests.js';
import { transactionOutcome, type TransactionOutcome } from './transaction-outcome.js';
import { commentFrom, UserData } from './user-data.js';

export interface TableInfo extends TableId {
  /** Packets do not enter the chains of a dormant table. */
  readonly isDormant: boolean;
}

export interface ChainInfo extends ChainId {
  /** Undefined: entered only from other chains. */
  readonly hook: BaseChainHook | undefined;
}

export interface RuleInfo extends RuleId {
  readonly comment: string | undefined;
  /** As the kernel has them: rules of other programs hold expressions that we do not know. */
  readonly expressions: readonly ReceivedExpression[];
}

/** An element of any set or map, undecoded. */
export interface RawElement {
  readonly key: Uint8Array;
  /** Of a map from keys to verdicts. */
  readonly verdict: Verdict | undefined;
}

const isPresent = <T>(value: T | undefined): value is T => value !== undefined;

const maxReads = 20;

/**
 * The nftables of the network namespace that the process was in when the client was opened: tables of the families ip, ip6
 * and inet, ours and other programs'. Its methods reject with NetlinkError and ProtocolError.
 */
export class NftablesClient {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
    connection.registerShapes(nftablesShapeOf);
  }

  /** A NetlinkError where the socket cannot be opened: EPROTONOSUPPORT where the kernel has no netfilter. */
  static open(connection: Connection = Connection.open('netfilter')): NftablesClient {
    return new NftablesClient(connection);
  }

  get sent(): SentCounts {
    return this.#connection.sent;
  }

  /** Calls the listener after a failed socket was replaced by another one. */
  onReopened(listener: (reopened: Reopened) => void): void {
    this.#connection.onReopened(listener);
  }

  /** For `watchNftables`, to leave out the changes that this client makes. */
  get portId(): number {
    return this.#connection.portId;
  }

  /** A number that every transaction of any program raises. */
  async generation(): Promise<number> {
    return this.#generation();
  }

  /**
   * Whether the kernel has tables of the family with filter and nat chains. The kernel tries to make them, which loads
   * modules, and undoes them without a notification. Rejects where the kernel refuses (EPERM) or does not answer.
   */
  async supports(family: Family): Promise<boolean> {
    const outcome = await this.check([{ kind: 'declare-table', declaration: probeTable(family) }]);
    if (outcome.status === 'applied') return true;
    if (outcome.status === 'failed' && unsupportedErrnos.has(outcome.errno)) return false;
    throw new ProtocolError(
      outcome.status === 'failed' ? outcome.message : 'nftables did not answer an attempt to make a table',
    );
  }

  /**
   * The table as the kernel has it, without elements; undefined where there is none. The chains of a dormant table have no
   * hooks, because packets do not enter them.
   */
  async table(family: Family, name: string): Promise<TableDeclaration | undefined> {
    const id = { family: netfilterFamilies[family], table: name };
    for (let read = 0; read < maxReads; read += 1) {
      const before = this.#generation();
      const table = this.#readTable(id, family);
      if (this.#generation() === before) return table;
    }
    throw new ProtocolError(`${formatTable(id)} changed during each of ${maxReads} attempts to read it`);
  }

  /** A NetlinkError ENOENT where the table has no such set. */
  async elements(family: Family, table: string, set: SetDeclaration): Promise<readonly SetElement[]> {
    const id = { family: netfilterFamilies[family], table };
    return this.#elements(id, set.name).map((element) => elementFrom(element, set, family));
  }

  /** As `elements`, for any set of any table. */
  async rawElements(id: TableId, set: string): Promise<readonly RawElement[]> {
    return this.#elements(id, set).flatMap(({ key, data }) =>
      key?.value === undefined ? [] : [{ key: key.value, verdict: verdictFrom(data) }],
    );
  }

  /** Makes the changes in their order, all or none. Never rejects because of a change. */
  async transaction(changes: readonly NftablesChange[]): Promise<TransactionOutcome> {
    return this.#transaction(changes, 'commit');
  }

  /** Whether the changes could be made: the kernel makes them and undoes them. */
  async check(changes: readonly NftablesChange[]): Promise<TransactionOutcome> {
    return this.#transaction(changes, 'undo');
  }

  /** All tables that see IPv4 or IPv6 packets. */
  async tables(): Promise<readonly TableInfo[]> {
    return this.#connection.dump(getTablesRequest).flatMap((message): readonly TableInfo[] => {
      const { header, attributes } = tableShape.read(message);
      const { name, flags = 0 } = attributes;
      return isTableFamily(header.family)
        ? [{ family: header.family, table: name, isDormant: (flags & tableIsDormant) !== 0 }]
        : [];
    });
  }

  /** The chains of those tables. */
  async chains(): Promise<readonly ChainInfo[]> {
    return this.#connection.dump(getChainsRequest('unspecified')).flatMap((message): readonly ChainInfo[] => {
      const { header, attributes } = chainShape.read(message);
      const { table, name: chain } = attributes;
      return isTableFamily(header.family)
        ? [{ family: header.family, table, chain, hook: hookFrom(attributes) }]
        : [];
    });
  }

  /** The rules of a chain, or of all chains of those tables, in their order. */
  async rules(chain?: ChainId): Promise<readonly RuleInfo[]> {
    const request = chain === undefined ? getAllRulesRequest : getChainRulesRequest(chain);
    return this.#connection
      .dump(request)
      .flatMap((message): readonly RuleInfo[] => {
        const { header, attributes } = ruleShape.read(message);
        const { table, chain: name, handle, userData, expressions = [] } = attributes;
        if (!isTableFamily(header.family) || name === undefined || handle === undefined) return [];
        const comment = commentFrom(userData, UserData.ruleComment);
        return [{ family: header.family, table, chain: name, handle, comment, expressions }];
      })
      .filter((rule) => chain === undefined || (rule.table === chain.table && rule.chain === chain.chain));
  }

  close(): void {
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #generation(): number {
    return this.#connection.request(
      getGenerationRequest,
      (message) => generationShape.read(message).attributes.id ?? 0,
    );
  }

  #elements(id: TableId, set: string): readonly Decoded<typeof element>[] {
    return this.#connection
      .dump(getElementsRequest(id, set))
      .flatMap((message) => elementsShape.read(message).attributes.elements ?? []);
  }

  #readTable(id: TableId, family: Family): TableDeclaration | undefined {
    const flags = this.#tableFlags(id);
    if (flags === undefined) return undefined;
    const isDormant = (flags & tableIsDormant) !== 0;
    const sets = this.#connection
      .dump(getSetsRequest(id))
      .map((message) => setFrom(setShape.read(message).attributes, family))
      .filter(isPresent);
    const rules = this.#rulesByChain(id, family);
    const chains = this.#connection
      .dump(getChainsRequest(id.family))
      .map((message): Chain | undefined => {
        const { attributes } = chainShape.read(message);
        if (attributes.table !== id.table) return undefined;
        return {
          name: attributes.name,
          hook: isDormant ? undefined : hookFrom(attributes),
          rules: rules.get(attributes.name) ?? [],
        };
      })
      .filter(isPresent);
    return { family, name: id.table, sets, chains };
  }

  #tableFlags(id: TableId): number | undefined {
    try {
      return this.#connection.request(
        getTableRequest(id),
        (message) => tableShape.read(message).attributes.flags ?? 0,
      );
    } catch (error) {
      if (error instanceof NetlinkError && error.errno === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** In their order. */
  #rulesByChain(id: TableId, family: Family): ReadonlyMap<string, readonly Rule[]> {
    const byChain = new Map<string, Rule[]>();
    for (const message of this.#connection.dump(getTableRulesRequest(id))) {
      const { attributes } = ruleShape.read(message);
      if (attributes.table !== id.table || attributes.chain === undefined) continue;
      const rules = byChain.get(attributes.chain) ?? [];
      rules.push(ruleFrom(attributes, family));
      byChain.set(attributes.chain, rules);
    }
    return byChain;
  }

  #transaction(changes: readonly NftablesChange[], ending: 'commit' | 'undo'): TransactionOutcome {
    const requests: Request[] = [];
    const changeIndexes: number[] = [];
    for (const [changeIndex, change] of changes.entries())
      for (const request of requestsFor(change)) {
        requests.push(request);
        changeIndexes.push(changeIndex);
      }
    if (requests.length === 0) return { status: 'applied' };
    const { begin, end } = batchFrame(
      Subsystem.nftables,
      `make a transaction of ${requests.length} messages`,
    );
    const result = this.#connection.transaction({
      begin,
      requests,
      end: ending === 'commit' ? end : undefined,
    });
    return transactionOutcome(result, requests, changeIndexes);
  }
}
