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
  /** The frontend as it is now. */
  readonly frontendOf: (identity: VirtualServerIdentity) => ServedFrontend;
  readonly log: Logger;
  /** Told of each cleaning of a protocol's flows; must not throw. */
  readonly onCleaned?: (cleaning: { family: Family; seconds: number; deleted: number }) => void;
}

/** Since the start. */
export interface StaleFlowCounts {
  readonly deleted: number;
  /** Deletions that the kernel refused, and dumps that it did not give. */
  readonly failed: number;
}

const nameOf = ({ query }: FrontendGroup): string => `${query.family} ${query.protocol}`;

/**
 * Deletes the kernel's entries of flows that go where nobody answers any more, so that the next packet of such a flow is
 * given to a real server that does. What fails is tried again with the next call, also one for no frontend.
 */
export class StaleFlows {
  readonly #counts = { deleted: 0, failed: 0 };
  /** What could not be cleaned. Its real servers may be others by the next try. */
  readonly #failed = new Map<VirtualServerKey, VirtualServerIdentity>();
  /** By family and protocol, why the last try failed. */
  readonly #failures = new StateLog();

  constructor(private readonly parts: StaleFlowsParts) {}

  get counts(): StaleFlowCounts {
    return this.#counts;
  }

  /**
   * To be called for frontends whose real servers changed, once the kernel's table has them so: one dump for each family and
   * protocol. Never throws for what the kernel refuses.
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

  /** Gives what went wrong, if anything did, and whether another try would be in vain: the kernel has no ctnetlink. */
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
        problem ??= outcome.status === 'failed' ? outcome.message : 'no answer';
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
        'Deleting stale flows failed: their clients may get no replies; retrying at the next change',
      ),
    );
  }
}
