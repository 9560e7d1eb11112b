import { Yielder } from '../../base/async.js';
import type { Logger } from '../../base/log.js';
import { StateLog } from '../../base/state-log.js';
import { hasHiddenSettings, TickRate } from '../../kernel/ipvs/table-file/settings.js';
import { TableFileError } from '../../kernel/ipvs/table-file/table-file-error.js';
import type { TableFile } from '../../kernel/ipvs/table-file/table-file.js';
import type { BoundVips } from '../../model/settings/vip-binding.js';
import {
  virtualServerKey,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import { dirtyKeys, type DirtyKeys } from '../../plan/operations/diff.js';
import { DumpRound } from './dump-round.js';
import { FileRound } from './file-round.js';
import { sameRealServers, toRealServer, tryReadRealServers } from './kernel-reader.js';
import { maximumTurnMilliseconds, noFindings, type Findings, type RoundParts } from './round.js';
import { ShownRealServers } from './shown-real-servers.js';
import { TablePages } from './table-pages.js';
import { Turns } from './turns.js';

export interface ResyncParts extends RoundParts {
  /** The kernel's table as a file; undefined: rounds read it over netlink. */
  readonly tableFile?: TableFile | undefined;
  /** The VIPs that are bound. */
  readonly boundVips: () => Promise<BoundVips>;
  readonly log: Logger;
}

export interface RoundOptions {
  /** Reads everything over netlink, also what the file does not show. */
  readonly thorough?: boolean;
  /** Begins anew: also observes the real servers of every virtual server at once, by the file those that are as desired. */
  readonly ignoreKnown?: boolean;
  /** Does not compare the bindings of VIPs. */
  readonly omitAddresses?: boolean;
}

/** How rounds were made, since the start of the process. */
export interface RoundCounts {
  readonly file: number;
  readonly netlink: number;
}

/** How many virtual servers a round by the file compares with netlink too. */
const comparedPerRound = 50;

/** How many more of those with settings that the file does not show. */
const hiddenComparedPerRound = 400;

/**
 * Reads the kernel, updates the engine's state and returns the keys that drifted, which the reconciler repairs. A round reads the
 * kernel's table file, which has all real servers, and by turns compares some virtual servers with netlink, which tells more. A
 * round without the file lists the virtual servers over netlink; slices then read their real servers.
 */
export class Resync {
  #queue: VirtualServerIdentity[] = [];
  readonly #rate = new TickRate();
  readonly #pages = new TablePages();
  readonly #turns = new Turns(comparedPerRound);
  readonly #hiddenTurns = new Turns(hiddenComparedPerRound);
  readonly #counts = { file: 0, netlink: 0 };
  readonly #unusable = new StateLog();

  constructor(private readonly parts: ResyncParts) {}

  /** The number of virtual servers whose real servers this round has not read yet. */
  get remaining(): number {
    return this.#queue.length;
  }

  get counts(): RoundCounts {
    return { ...this.#counts };
  }

  /** Whether kube-ipvs owns a virtual server that is recorded as foreign. The next round adopts it. */
  get hasMisclassified(): boolean {
    for (const identity of this.parts.state.virtualServers.foreign.values())
      if (this.parts.isOurs(identity)) return true;
    return false;
  }

  /** Begins a round: compares all virtual servers and addresses, and reads new virtual servers with their real servers. */
  async begin(options: RoundOptions = {}): Promise<DirtyKeys> {
    const { ignoreKnown = false, thorough = ignoreKnown, omitAddresses = false } = options;
    const addresses = omitAddresses ? [] : await this.#readAddresses();
    const drifted = new Set<VirtualServerKey>();
    const ofFile = thorough ? undefined : await this.#compareFile(drifted);
    const findings = ofFile ?? (await this.#dump(ignoreKnown, drifted));
    this.#counts[ofFile === undefined ? 'netlink' : 'file'] += 1;
    this.parts.state.virtualServers.setForeign(findings.foreign);
    return dirtyKeys({ virtualServers: drifted, addresses: new Set(addresses) });
  }

  /** Undefined if the file cannot be used; what drifted until then is in the set. */
  async #compareFile(drifted: Set<VirtualServerKey>): Promise<Findings | undefined> {
    const findings = noFindings(drifted);
    const round = new FileRound(this.parts, this.#rate, this.#pages, findings);
    return this.#withFile(async (file) => {
      await round.run(file);
      await round.compare(this.#takeTurns());
      return findings;
    });
  }

  /** Undefined if the file cannot be used. */
  async #withFile<T>(work: (file: TableFile) => Promise<T>): Promise<T | undefined> {
    const { tableFile, log } = this.parts;
    if (tableFile === undefined) return undefined;
    try {
      const result = await work(tableFile);
      this.#unusable.end('', () =>
        log.info({ event: 'ipvs-table-file-usable' }, 'IPVS table readable as a file again'),
      );
      return result;
    } catch (error) {
      if (!(error instanceof TableFileError)) throw error;
      this.#unusable.begin('', 'unusable', () =>
        log.warn(
          { event: 'ipvs-table-file-unusable', problem: `/proc/net/ip_vs ${error.message}` },
          'IPVS table not readable as a file; each resync reads it over netlink, which takes longer',
        ),
      );
      return undefined;
    }
  }

  /** The virtual servers that come next in turn. */
  #takeTurns(): ReadonlySet<VirtualServerIdentity> {
    const { virtualServers } = this.parts.state;
    return new Set([
      ...this.#turns.take(virtualServers.observedServers()),
      ...this.#hiddenTurns.take(virtualServers.observedServers(), hasHiddenSettings),
    ]);
  }

  async #dump(ignoreKnown: boolean, drifted: Set<VirtualServerKey>): Promise<Findings> {
    const shown = ignoreKnown ? await this.#withFile((file) => ShownRealServers.read(file)) : undefined;
    const findings = noFindings(drifted);
    const round = new DumpRound(this.parts, findings, shown);
    await round.run(ignoreKnown);
    this.#enqueue(round.toRead);
    return findings;
  }

  /** Virtual servers that the previous round did not reach come first, so every one is read eventually. */
  #enqueue(identities: readonly VirtualServerIdentity[]): void {
    const unfinished = new Set(this.#queue.map(virtualServerKey));
    const isUnfinished = (identity: VirtualServerIdentity): boolean =>
      unfinished.has(virtualServerKey(identity));
    this.#queue =
      unfinished.size === 0
        ? [...identities]
        : [...identities.filter(isUnfinished), ...identities.filter((each) => !isUnfinished(each))];
  }

  /** Compares the real servers of up to `count` virtual servers from the queue. */
  async step(count: number): Promise<DirtyKeys> {
    const { ipvs, state, onUnreadable } = this.parts;
    const drifted = new Set<VirtualServerKey>();
    const turns = new Yielder(maximumTurnMilliseconds);
    for (const identity of this.#queue.splice(0, count)) {
      await turns.yieldIfDue();
      const key = virtualServerKey(identity);
      const known = state.virtualServer(key);
      if (known === undefined) continue;
      const revision = state.virtualServers.revision(key);
      const found = await tryReadRealServers(ipvs, identity, onUnreadable);
      if (found === 'unreadable') continue;
      const realServers = found.map(toRealServer);
      if (sameRealServers(known.realServers, realServers)) continue;
      state.virtualServers.read(
        identity,
        { server: known.server, realServers },
        { isAdopted: true, revision },
      );
      drifted.add(key);
    }
    return dirtyKeys({ virtualServers: drifted });
  }

  /** Compares the bindings of VIPs. Returns the VIPs that drifted. */
  async #readAddresses(): Promise<DirtyKeys['addresses']> {
    return this.parts.state.setAddresses(await this.parts.boundVips());
  }
}
