import { Yielder } from '../../base/async.js';
import { hasThresholds } from '../../kernel/ipvs/table-file/settings.js';
import {
  sameVirtualServer,
  type RealServer,
  type VirtualServer,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../../model/virtual-server.js';
import {
  toRealServer,
  tryReadRealServers,
  tryReadVirtualServer,
  withoutStatistics,
} from './kernel-reader.js';
import { maximumTurnMilliseconds, type Findings, type RoundParts } from './round.js';
import type { ShownRealServers } from './shown-real-servers.js';

/**
 * One round of a resync by netlink: a dump lists all virtual servers with their settings. Real servers cost one dump per virtual
 * server, so those of known virtual servers are left to the slices.
 */
export class DumpRound {
  /** The virtual servers whose real servers were not read. */
  readonly toRead: VirtualServerIdentity[] = [];

  /** `shown`: what the table file shows of real servers, where it can be used. */
  constructor(
    private readonly parts: RoundParts,
    private readonly findings: Findings,
    private readonly shown: ShownRealServers | undefined,
  ) {}

  /** With `ignoreKnown`, observes the real servers of every virtual server. */
  async run(ignoreKnown: boolean): Promise<void> {
    const { ipvs, state } = this.parts;
    const { listed, foreign, drifted } = this.findings;
    const turns = new Yielder(maximumTurnMilliseconds);
    for (const observation of await ipvs.virtualServersIncrementally()) {
      await turns.yieldIfDue();
      const server = withoutStatistics(observation);
      if (!this.#isOurs(server.identity, server.key)) foreign.set(server.key, server.identity);
      else if (ignoreKnown || state.virtualServer(server.key) === undefined) await this.#adopt(server);
      else this.#compare(server);
    }
    for (const key of await this.#removeUnlisted()) drifted.add(key);
    state.virtualServers.endDoubt((key) => listed.has(key));
  }

  /** Records the settings of a known virtual server. */
  #compare(server: VirtualServer): void {
    const { state } = this.parts;
    const known = state.virtualServer(server.key);
    this.findings.listed.add(server.key);
    this.toRead.push(server.identity);
    if (known !== undefined && sameVirtualServer(known.server, server)) return;
    state.virtualServers.list(server);
    this.findings.drifted.add(server.key);
  }

  /** Records that virtual servers no longer exist, and returns their keys. */
  async #removeUnlisted(): Promise<readonly VirtualServerKey[]> {
    const { state } = this.parts;
    const removed: VirtualServerKey[] = [];
    for (const key of state.virtualServerKeys()) {
      const known = this.findings.listed.has(key) ? undefined : state.virtualServer(key);
      if (known === undefined || (await this.#stillExists(known.server))) continue;
      state.virtualServers.apply(known.server.identity, { kind: 'not-listed' });
      removed.push(key);
    }
    return removed;
  }

  /**
   * Whether the virtual server exists although the dump does not list it. An orphaned virtual server must be
   * checked, because no operation is sent that would detect it; for a desired one, the attempt to create it
   * does.
   */
  async #stillExists({ key, identity }: VirtualServer): Promise<boolean> {
    const { ipvs, isDesired, onUnreadable } = this.parts;
    if (isDesired(key)) return false;
    return (await tryReadVirtualServer(ipvs, identity, onUnreadable)) !== undefined;
  }

  /**
   * Reads one of kube-ipvs's virtual servers with its real servers. No operation is sent for it until its
   * real servers are known.
   */
  async #adopt(server: VirtualServer): Promise<void> {
    this.findings.listed.add(server.key);
    this.findings.drifted.add(server.key);
    const { virtualServers } = this.parts.state;
    const revision = virtualServers.revision(server.key);
    const expected = this.#expectedRealServers(server.key);
    // The file shows no thresholds: slices read them later.
    if (expected !== undefined) this.toRead.push(server.identity);
    const realServers = expected ?? (await this.#readRealServers(server));
    if (realServers === 'unreadable') virtualServers.list(server);
    else virtualServers.read(server.identity, { server, realServers }, { isAdopted: true, revision });
  }

  /** The desired real servers, if the table file shows them: to read them costs a dump for each virtual server. */
  #expectedRealServers(key: VirtualServerKey): Iterable<RealServer> | undefined {
    const expected = this.parts.desiredRealServers(key);
    if (expected === undefined || expected.some(hasThresholds)) return undefined;
    return this.shown?.are(key, expected) === true ? expected : undefined;
  }

  async #readRealServers({ identity }: VirtualServer): Promise<readonly RealServer[] | 'unreadable'> {
    const { ipvs, onUnreadable } = this.parts;
    const found = await tryReadRealServers(ipvs, identity, onUnreadable);
    return found === 'unreadable' ? found : found.map(toRealServer);
  }

  #isOurs(identity: VirtualServerIdentity, key: VirtualServerKey): boolean {
    const { isOurs, state } = this.parts;
    return state.virtualServer(key) !== undefined || state.virtualServers.mayBeOurs(key) || isOurs(identity);
  }
}
