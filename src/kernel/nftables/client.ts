import type { Family } from '../../base/ip.js';
import type {
  BaseChainHook,
  Chain,
  Rule,
  SetDeclaration,
  SetElement,
  TableDeclaration,
} from '../../nftables/declarations.js';
import { Connection, type SentCounts } from '../../netlink/connection.js';
import type { Reopened } from '../../netlink/reopening-channel.js';
import { NetlinkError, ProtocolError } from '../../netlink/errors.js';
import type { Request } from '../../netlink/message.js';
import type { TransactionResult } from '../../netlink/transaction.js';
import { batchFrame, netfilterFamilies, Subsystem } from '../nfnetlink.js';
import {
  chainShape,
  elementsShape,
  generationShape,
  nftablesShapeOf,
  ruleShape,
  setShape,
  tableIsDormant,
  tableShape,
} from './attributes.js';
import { elementFrom, hookFrom, ruleFrom, setFrom } from './convert.js';
import { meaningOf } from './errno-meaning.js';
import {
  getChainsRequest,
  getElementsRequest,
  getGenerationRequest,
  getRulesRequest,
  getSetsRequest,
  getTableRequest,
  requestsFor,
  type NftablesChange,
} from './requests.js';

/** What became of a transaction: all of it, or nothing. `culprit` is the place of the change at fault, undefined where it is none of them. */
export type TransactionOutcome =
  | { readonly status: 'applied' }
  | {
      readonly status: 'failed';
      readonly errno: string;
      readonly message: string;
      readonly culprit: number | undefined;
    }
  | { readonly status: 'unknown' };

/** A chain of anybody's table. */
export interface ChainInfo {
  readonly family: 'ip' | 'ip6' | 'inet';
  readonly table: string;
  readonly chain: string;
  /** Undefined: entered only from other chains. */
  readonly hook: BaseChainHook | undefined;
}

const isPresent = <T>(value: T | undefined): value is T => value !== undefined;

/** What a kernel answers that has no nftables, not for the family, or not that kind of chain. */
const unsupported: ReadonlySet<string> = new Set([
  'EOPNOTSUPP',
  'EAFNOSUPPORT',
  'EPROTONOSUPPORT',
  'ENOENT',
  'EINVAL',
]);

const hookOf = (type: BaseChainHook['type']): BaseChainHook => ({
  type,
  hook: 'output',
  priority: 0,
  policy: 'accept',
});

/** A table that is only ever tried: chains of the kinds that packet rules need. */
const probe = (family: Family): TableDeclaration => ({
  family,
  name: 'kube-ipvs-probe',
  sets: [],
  chains: [
    { name: 'filter', hook: hookOf('filter'), rules: [] },
    { name: 'nat', hook: hookOf('nat'), rules: [] },
  ],
});

const maxReads = 20;

/** The nftables of the network namespace that the process was in when it was opened. Its methods reject with NetlinkError and ProtocolError. */
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

  /** The listener is called when its socket was of no use any more and another one was opened. */
  onReopened(listener: (reopened: Reopened) => void): void {
    this.#connection.onReopened(listener);
  }

  /** For `watchNftables`, to leave out what this client does. */
  get portId(): number {
    return this.#connection.portId;
  }

  /** A number that every transaction, of anybody, raises. */
  async generation(): Promise<number> {
    return this.#generation();
  }

  /**
   * Whether the kernel has tables of the family with filter and nat chains. Asked by trying to make them, so modules are
   * loaded; nothing stays, and nobody is told. Rejects where the kernel does not let us (EPERM) or does not say.
   */
  async supports(family: Family): Promise<boolean> {
    const outcome = await this.check([{ kind: 'declare-table', declaration: probe(family) }]);
    if (outcome.status === 'applied') return true;
    if (outcome.status === 'failed' && unsupported.has(outcome.errno)) return false;
    throw new ProtocolError(
      outcome.status === 'failed' ? outcome.message : 'nftables gave no answer to an attempt to make a table',
    );
  }

  /** The table as the kernel has it, without elements; undefined where there is none. The chains of a dormant table have no hooks, for packets do not enter them. */
  async table(family: Family, name: string): Promise<TableDeclaration | undefined> {
    for (let read = 0; read < maxReads; read += 1) {
      const before = this.#generation();
      const table = this.#readTable(family, name);
      if (this.#generation() === before) return table;
    }
    throw new ProtocolError(
      `table ${netfilterFamilies[family]} ${name} changed each of ${maxReads} times while it was read`,
    );
  }

  /** A NetlinkError ENOENT where the table has no such set. */
  async elements(family: Family, table: string, set: SetDeclaration): Promise<readonly SetElement[]> {
    return this.#connection
      .dump(getElementsRequest(family, table, set.name))
      .flatMap((message) => elementsShape.read(message).attributes.elements ?? [])
      .map((element) => elementFrom(element, set, family));
  }

  /** Makes the changes in their order, all or none. Never rejects because of a change. */
  async transaction(changes: readonly NftablesChange[]): Promise<TransactionOutcome> {
    return this.#transaction(changes, 'commit');
  }

  /** Whether the changes could be made: the kernel makes them and undoes them. */
  async check(changes: readonly NftablesChange[]): Promise<TransactionOutcome> {
    return this.#transaction(changes, 'undo');
  }

  /** The chains of all tables, everybody's, that handle IPv4 and IPv6 packets (families ip, ip6 and inet). */
  async chains(): Promise<readonly ChainInfo[]> {
    return this.#connection
      .dump(getChainsRequest())
      .map((message): ChainInfo | undefined => {
        const { header, attributes } = chainShape.read(message);
        const { family } = header;
        if (family !== 'ip' && family !== 'ip6' && family !== 'inet') return undefined;
        return { family, table: attributes.table, chain: attributes.name, hook: hookFrom(attributes) };
      })
      .filter(isPresent);
  }

  close(): void {
    this.#connection.close();
  }

  #generation(): number {
    return this.#connection.request(
      getGenerationRequest,
      (message) => generationShape.read(message).attributes.id ?? 0,
    );
  }

  #readTable(family: Family, name: string): TableDeclaration | undefined {
    const flags = this.#tableFlags(family, name);
    if (flags === undefined) return undefined;
    const isDormant = (flags & tableIsDormant) !== 0;
    const sets = this.#connection
      .dump(getSetsRequest(family, name))
      .map((message) => setFrom(setShape.read(message).attributes, family))
      .filter(isPresent);
    const rules = this.#rules(family, name);
    const chains = this.#connection
      .dump(getChainsRequest(family))
      .map((message): Chain | undefined => {
        const { attributes } = chainShape.read(message);
        if (attributes.table !== name) return undefined;
        return {
          name: attributes.name,
          hook: isDormant ? undefined : hookFrom(attributes),
          rules: rules.get(attributes.name) ?? [],
        };
      })
      .filter(isPresent);
    return { family, name, sets, chains };
  }

  #tableFlags(family: Family, name: string): number | undefined {
    try {
      return this.#connection.request(
        getTableRequest(family, name),
        (message) => tableShape.read(message).attributes.flags ?? 0,
      );
    } catch (error) {
      if (error instanceof NetlinkError && error.errno === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** By their chains, in their order. */
  #rules(family: Family, table: string): ReadonlyMap<string, readonly Rule[]> {
    const byChain = new Map<string, Rule[]>();
    for (const message of this.#connection.dump(getRulesRequest(family, table))) {
      const { attributes } = ruleShape.read(message);
      if (attributes.table !== table || attributes.chain === undefined) continue;
      const rules = byChain.get(attributes.chain) ?? [];
      rules.push(ruleFrom(attributes, family));
      byChain.set(attributes.chain, rules);
    }
    return byChain;
  }

  #transaction(changes: readonly NftablesChange[], ending: 'commit' | 'undo'): TransactionOutcome {
    const requests: Request[] = [];
    /** Of each request, the place of its change. */
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
    return outcomeOf(result, requests, changeIndexes);
  }
}

const outcomeOf = (
  result: TransactionResult,
  requests: readonly Request[],
  changeIndexes: readonly number[],
): TransactionOutcome => {
  if (result.status !== 'failed') return result;
  const { error, requestIndex } = result;
  const request = requestIndex === undefined ? undefined : requests[requestIndex];
  const culprit = requestIndex === undefined ? undefined : changeIndexes[requestIndex];
  if (error instanceof ProtocolError)
    return {
      status: 'failed',
      errno: 'EDOM',
      message: `${request?.operation() ?? 'make a transaction'}: ${error.message}`,
      culprit,
    };
  const meaning = meaningOf(request, error.errno);
  return {
    status: 'failed',
    errno: error.errno,
    message: meaning === undefined ? error.message : `${error.message}: ${meaning}`,
    culprit,
  };
};
