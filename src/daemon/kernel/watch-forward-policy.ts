import { maxTimerDelayMilliseconds } from '../../base/async.js';
import { codeOf, messageOf } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import { StateLog } from '../../base/state-log.js';
import { insertAcceptRule } from '../../kernel/nftables/foreign/accept-rules.js';
import { nftablesForwardFilters } from '../../kernel/nftables/foreign/forward-filters.js';
import { legacyForwardFilters } from '../../kernel/xtables/legacy-forward-filter.js';
import type { ForwardFilter } from '../../model/forward-filter.js';
import type { InstanceNames } from '../../model/instance-names.js';
import { NetlinkError } from '../../netlink/errors.js';
import { dropsReplies, filterName, warningText, remedyFor } from '../../plan/packet-rules/forward-policy.js';

/** Reads a part of the filters that forwarded packets pass. */
interface ForwardFilterSource {
  /** For messages: `nftables`. */
  readonly name: string;
  read(): Promise<readonly ForwardFilter[]>;
}

const allSources: readonly ForwardFilterSource[] = [
  { name: 'nftables', read: nftablesForwardFilters },
  { name: 'iptables-legacy', read: legacyForwardFilters },
];

const remedyOf = (error: unknown): object => {
  if (error instanceof NetlinkError && error.errno === 'EPERM')
    return { remedy: 'Run as root, or with the capability NET_ADMIN.' };
  // The list of the tables of iptables-legacy (0440, root:root).
  return codeOf(error) === 'EACCES'
    ? { remedy: 'Run with the group root; in a pod, set securityContext.runAsGroup: 0.' }
    : {};
};

export interface ForwardPolicyOptions {
  readonly names: Pick<InstanceNames, 'table'>;
  readonly acceptInForeignChains: boolean;
}

/**
 * Logs where rules of other programs drop replies from pods, and where they no longer do. It changes nothing unless the
 * options say so, and never fails the daemon.
 */
class ForwardPolicyCheck {
  /** By source, the filters that drop replies, by their names. */
  readonly #blocking = new Map<ForwardFilterSource, StateLog>();
  readonly #unreadable = new StateLog<ForwardFilterSource>();

  constructor(
    private readonly sources: readonly ForwardFilterSource[],
    private readonly options: () => ForwardPolicyOptions,
    private readonly log: Logger,
  ) {}

  /** How many filters of other programs drop replies from pods. */
  get blocking(): number {
    return [...this.#blocking.values()].reduce((sum, filters) => sum + filters.size, 0);
  }

  /** Checks again; logs only changes. */
  async check(): Promise<void> {
    for (const source of this.sources) {
      try {
        const dropping = (await source.read()).filter(dropsReplies);
        const blocking: ForwardFilter[] = [];
        for (const filter of dropping) if (!(await this.#acceptResponses(filter))) blocking.push(filter);
        this.#reportChanges(source, blocking);
        this.#unreadable.end(source);
      } catch (error) {
        this.#unreadable.begin(source, '', () =>
          this.log.warn(
            {
              event: 'forward-policy-unreadable',
              rules: source.name,
              error: messageOf(error),
              ...remedyOf(error),
            },
            'Forward policy of other programs unreadable; they may drop replies from pods',
          ),
        );
      }
    }
  }

  /** Inserts a rule that accepts replies, if the options say so. Returns whether it is in the chain. */
  async #acceptResponses(filter: ForwardFilter): Promise<boolean> {
    // iptables could no longer parse its own chain.
    const { acceptInForeignChains, names } = this.options();
    if (!acceptInForeignChains || filter.by !== 'nftables') return false;
    const reason = await insertAcceptRule(filter, names.table);
    if (reason === undefined)
      this.log.info(
        { event: 'accept-rule-inserted', filter: filterName(filter) },
        'Rule inserted that accepts replies from pods',
      );
    else
      this.log.warn(
        { event: 'accept-rule-refused', filter: filterName(filter), reason },
        'Rule that accepts replies from pods not inserted',
      );
    return reason === undefined;
  }

  #reportChanges(source: ForwardFilterSource, dropping: readonly ForwardFilter[]): void {
    const current = new Map(dropping.map((filter) => [filterName(filter), filter]));
    const filters = this.#blocking.get(source) ?? new StateLog();
    this.#blocking.set(source, filters);
    for (const [name, filter] of current) filters.begin(name, '', () => this.#logBlocking(filter));
    filters.endOthers(current, (name) =>
      this.log.info({ event: 'replies-unblocked', filter: name }, 'Replies from pods no longer dropped'),
    );
  }

  #logBlocking(filter: ForwardFilter): void {
    const { by, family, table, chain, priority, policy } = filter;
    const advice = { problem: warningText(filter), remedy: remedyFor(filter) };
    this.log.warn(
      { event: 'replies-blocked', by, family, table, chain, priority, policy, ...advice },
      'Replies from pods dropped by rules of another program',
    );
  }
}

/** Checks now and after each sync period; the settings are read each time. Never rejects. */
export const watchForwardPolicy = async (
  settings: () => ForwardPolicyOptions & { readonly syncPeriod: number },
  log: Logger,
): Promise<Disposable & Pick<ForwardPolicyCheck, 'blocking'>> => {
  const check = new ForwardPolicyCheck(allSources, settings, log);
  await check.check();
  let timer: NodeJS.Timeout | undefined;
  const scheduleCheck = (): void => {
    timer = setTimeout(
      () => {
        void check.check();
        scheduleCheck();
      },
      Math.min(settings().syncPeriod, maxTimerDelayMilliseconds),
    );
  };
  scheduleCheck();
  return {
    get blocking() {
      return check.blocking;
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };
};
