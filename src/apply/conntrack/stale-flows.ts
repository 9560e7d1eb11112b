import { isExpectedError, messageOf } from '../../base/errors.js';
import type { Family } from '../../base/ip.js';
import type { Logger } from '../../base/log.js';
import { StateLog } from '../../base/state-log.js';
import type { Flow, FlowQuery } from '../../model/flow.js';
import type { Outcome } from '../../model/operation.js';
import type { VirtualServerIdentity, VirtualServerKey } from '../../model/virtual-server.js';
import { NetlinkError } from '../../netlink/errors.js';
import {
  flowGroups,
  staleFlows,
  type DeletedRealServer,
  type FlowGroup,
  type ServedFrontend,
} from '../../plan/stale-flows.js';
import { isPermanent } from '../retry/decisions.js';

export interface StaleFlowsParts {
  readonly conntrack: {
    flows(query: FlowQuery): Promise<readonly Flow[]>;
    delete(flows: readonly Flow[]): Promise<readonly Outcome[]>;
  };
  /** The frontend with its current real servers. */
  readonly frontendOf: (identity: VirtualServerIdentity) => ServedFrontend;
  readonly log: Logger;
  /** Called after each cleaning of a protocol's flows; must not throw. */
  readonly onCleaned?: (cleaning: { family: Family; seconds: number; deleted: number }) => void;
}

/** Totals since the start of the process. */
export interface StaleFlowCounts {
  readonly deleted: number;
  /** Deletions that the kernel rejected, and dumps that failed. */
  readonly failed: number;
}

const nameOf = ({ query }: Pick<FlowGroup, 'query'>): string => `${query.family} ${query.protocol}`;

/**
 * Deletes conntrack entries of flows to real servers that no longer serve them, so the next packet of such a
 * flow gets another real server. Every call, even one without frontends, retries earlier failures.
 */
export class StaleFlows {
  readonly #counts = { deleted: 0, failed: 0 };
  /** Frontends whose cleaning failed. Their real servers may change before the next attempt. */
  readonly #failed = new Map<VirtualServerKey, VirtualServerIdentity>();
  /** Deleted real servers whose cleaning failed, by the name of their group. */
  readonly #failedRealServers = new Map<string, readonly DeletedRealServer[]>();
  /** Why the last attempt failed, by family and protocol. */
  readonly #failures = new StateLog();

  constructor(private readonly parts: StaleFlowsParts) {}

  get counts(): StaleFlowCounts {
    return this.#counts;
  }

  /**
   * Deletes the flows of these frontends that lead to none of their present real servers, and the flows to the
   * deleted real servers that no frontend has any more. Makes one dump per family and protocol. Never throws for an
   * error of the kernel.
   */
  async clean(
    frontends: readonly ServedFrontend[],
    deletedRealServers: readonly DeletedRealServer[] = [],
  ): Promise<void> {
    const failed = [...this.#failed.values()].map((identity) => this.parts.frontendOf(identity));
    const failedRealServers = [...this.#failedRealServers.values()].flat();
    for (const group of flowGroups(
      [...failed, ...frontends],
      [...failedRealServers, ...deletedRealServers],
    )) {
      const started = performance.now();
      const deletedBefore = this.#counts.deleted;
      const { problem, isFutile } = await this.#cleanGroup(group);
      this.parts.onCleaned?.({
        family: group.query.family,
        seconds: (performance.now() - started) / 1_000,
        deleted: this.#counts.deleted - deletedBefore,
      });
      this.#remember(group, problem !== undefined && !isFutile);
      this.#logResult(nameOf(group), problem);
    }
  }

  /** What the next call cleans again. */
  #remember(group: FlowGroup, hasFailed: boolean): void {
    for (const [key, { identity }] of group.frontends) {
      if (hasFailed) this.#failed.set(key, identity);
      else this.#failed.delete(key);
    }
    const { family, protocol } = group.query;
    const realServers = [...group.deletedRealServers].map((realServer) => ({ family, protocol, realServer }));
    if (hasFailed && realServers.length > 0) this.#failedRealServers.set(nameOf(group), realServers);
    else this.#failedRealServers.delete(nameOf(group));
  }

  /** Returns the problem, if any, and whether a retry is futile because the kernel has no ctnetlink. */
  async #cleanGroup(
    group: FlowGroup,
  ): Promise<{ readonly problem: string | undefined; readonly isFutile: boolean }> {
    const { conntrack, frontendOf } = this.parts;
    try {
      const stale = staleFlows(await conntrack.flows(group.query), group, (frontend, realServer) =>
        frontendOf(frontend).realServers.has(realServer),
      );
      const outcomes = stale.length === 0 ? [] : await conntrack.delete(stale);
      return { problem: this.#count(outcomes), isFutile: false };
    } catch (error) {
      if (!isExpectedError(error)) throw error;
      this.#counts.failed += 1;
      return {
        problem: messageOf(error),
        isFutile: error instanceof NetlinkError && isPermanent(error.errno),
      };
    }
  }

  #count(outcomes: readonly Outcome[]): string | undefined {
    let problem: string | undefined;
    for (const outcome of outcomes) {
      if (outcome.status === 'applied') this.#counts.deleted += 1;
      else {
        this.#counts.failed += 1;
        problem ??= outcome.status === 'failed' ? outcome.message : 'the kernel did not reply';
      }
    }
    return problem;
  }

  #logResult(flows: string, problem: string | undefined): void {
    const { log } = this.parts;
    if (problem === undefined)
      return this.#failures.end(flows, () =>
        log.info({ event: 'stale-flows-recovered', flows }, 'Stale flows deleted after failures'),
      );
    this.#failures.begin(flows, problem, () =>
      log.warn(
        { event: 'stale-flows-failed', flows, problem },
        'Stale flows not deleted: their clients may get no replies; retrying at the next change',
      ),
    );
  }
}
