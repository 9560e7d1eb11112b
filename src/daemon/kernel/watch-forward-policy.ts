import { maxTimerDelayMilliseconds } from '../../base/async.js';
import { codeOf, messageOf } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import { insertAcceptRule } from '../../kernel/nftables/foreign/accept-rules.js';
import { nftablesForwardFilters } from '../../kernel/nftables/foreign/forward-filters.js';
import { legacyForwardFilters } from '../../kernel/xtables/legacy-forward-filter.js';
import type { ForwardFilter } from '../../model/forward-filter.js';
import { NetlinkError } from '../../netlink/errors.js';
import { dropsReplies, filterName, warningText, remedyFor } from '../../plan/packet-rules/forward-policy.js';

/** Reads some of the filters that see what is forwarded. */
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
    return { remedy: 'run as root, or with the capability NET_ADMIN' };
  // The list of the tables of iptables-legacy (0440, root:root).
  return codeOf(error) === 'EACCES'
    ? { remedy: 'run with the group root: in a pod securityContext.runAsGroup: 0' }
    : {};
};

export interface ForwardPolicyOptions {
  readonly acceptInForeignChains: boolean;
}

/**
 * Tells where somebody else's rules drop the answers of pods, and where they no longer do. It changes nothing unless the
 * options ask for it, and nothing fails for it.
 */
class ForwardPolicyCheck {
  /** By the filter's name, the source that told of it. */
  readonly #reported = new Map<string, ForwardFilterSource>();
  readonly #unreadable = new Set<ForwardFilterSource>();

  constructor(
    private readonly sources: readonly ForwardFilterSource[],
    private readonly options: () => ForwardPolicyOptions,
    private readonly log: Logger,
  ) {}

  /** How many filters of others drop the answers of pods. */
  get blocking(): number {
    return this.#reported.size;
  }

  /** Looks once more; says only what is new. */
  async check(): Promise<void> {
    for (const source of this.sources) {
      try {
        const dropping = (await source.read()).filter(dropsReplies);
        const blocking: ForwardFilter[] = [];
        for (const filter of dropping) if (!(await this.#acceptResponses(filter))) blocking.push(filter);
        this.#reportChanges(source, blocking);
        this.#unreadable.delete(source);
      } catch (error) {
        if (!this.#unreadable.has(source))
          this.log.warn(
            { rules: source.name, error: messageOf(error), ...remedyOf(error) },
            "can't see whether rules of others drop the answers of pods",
          );
        this.#unreadable.add(source);
      }
    }
  }

  /** Whether a rule of ours in the chain lets answers through from now on. */
  async #acceptResponses(filter: ForwardFilter): Promise<boolean> {
    // iptables would no longer understand its own chain.
    if (!this.options().acceptInForeignChains || filter.by !== 'nftables') return false;
    const reason = await insertAcceptRule(filter);
    if (reason === undefined)
      this.log.info({ filter: filterName(filter) }, 'inserted a rule that accepts the answers of pods');
    else this.log.warn({ filter: filterName(filter), reason }, 'could not let the answers of pods through');
    return reason === undefined;
  }

  #reportChanges(source: ForwardFilterSource, dropping: readonly ForwardFilter[]): void {
    const current = new Map(dropping.map((filter) => [filterName(filter), filter]));
    for (const [name, filter] of current) if (!this.#reported.has(name)) this.#reportBlocking(source, filter);
    for (const [name, by] of this.#reported)
      if (by === source && !current.has(name)) {
        this.#reported.delete(name);
        this.log.info({ filter: name }, 'the answers of pods pass again');
      }
  }

  #reportBlocking(source: ForwardFilterSource, filter: ForwardFilter): void {
    this.#reported.set(filterName(filter), source);
    const { by, family, table, chain, priority, policy } = filter;
    this.log.warn(
      { by, family, table, chain, priority, policy, problem: warningText(filter), remedy: remedyFor(filter) },
      'rules of others drop the answers of pods',
    );
  }
}

/** Looks now, tells what is found, and looks again after each period. What is asked for each time may change. Never rejects. */
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
