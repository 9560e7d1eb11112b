import { isExpectedError, messageOf } from '../../base/errors.js';
import type { Family } from '../../base/ip.js';
import type { Logger } from '../../base/log.js';
import { StateLog } from '../../base/state-log.js';
import type { Flow, FlowQuery } from '../../model/flow.js';
import type { Outcome } from '../../model/operation.js';
import type { VirtualServerIdentity, VirtualServerKey } from '../../model/virtual-server.js';
import { NetlinkError } from '../../netlink/errors.js';
import {
  frontendGroups,
  staleFlows,
  type FrontendGroup,
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

const nameOf = ({ query }: FrontendGroup): string => `${query.family} ${query.protocol}`;

/**
 * Deletes conntrack entries of flows to real servers that no longer serve them, so the next packet of such a
 * flow gets another real server. Every call, even one without frontends, retries earlier failures.
 */
export class StaleFlows {
  readonly #counts = { deleted: 0, failed: 0 };
  /** Frontends whose cleaning failed. Their real servers may change before the next attempt. */
  readonly #failed = new Map<VirtualServerKey, VirtualServerIdentity>();
  /** Why the last attempt failed, by family and protocol. */
  readonly #failures = new StateLog();

  constructor(private readonly parts: StaleFlowsParts) {}

  get counts(): StaleFlowCounts {
    return this.#counts;
  }

  /**
   * Deletes the flows of these frontends that lead to none of their present real servers. Makes one dump per
   * family and protocol. Never throws for an error of the kernel.
   */
  async clean(frontends: readonly ServedFrontend[]): Promise<void> {
    const failed = [...this.#failed.values()].map((identity) => this.parts.frontendOf(identity));
    for (const group of frontendGroups([...failed, ...frontends])) {
      const started = performance.now();
      const deletedBefore = this.#counts.deleted;
      const { problem, isFutile: isPermanentFailure } = await this.#cleanGroup(group);
      this.parts.onCleaned?.({
        family: group.query.family,
        seconds: (performance.now() - started) / 1_000,
        deleted: this.#counts.deleted - deletedBefore,
      });
      for (const [key, frontend] of group.frontends) {
        if (problem === undefined || isPermanentFailure) this.#failed.delete(key);
        else this.#failed.set(key, frontend.identity);
      }
      this.#logResult(nameOf(group), problem);
    }
  }

  /** Returns the problem, if any, and whether a retry is futile because the kernel has no ctnetlink. */
  async #cleanGroup({
    query,
    frontends,
  }: FrontendGroup): Promise<{ readonly problem: string | undefined; readonly isFutile: boolean }> {
    const { conntrack } = this.parts;
    try {
      const stale = staleFlows(await conntrack.flows(query), frontends);
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
