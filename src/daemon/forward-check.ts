import { longestDelayMilliseconds } from '../base/async.js';
import { codeOf, messageOf } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import { insertAcceptRule } from '../kernel/nftables/accept-answers.js';
import { nftablesForwardFilters } from '../kernel/nftables/forward-filters.js';
import { legacyForwardFilters } from '../kernel/xtables/forward-filter.js';
import type { ForwardFilter } from '../model/forward-filter.js';
import { NetlinkError } from '../netlink/errors.js';
import { dropsAnswers, filterName, findingText, remedyFor } from '../plan/forward-policy.js';

/** Reads some of the filters that see what is forwarded. */
interface ForwardFilters {
  /** For messages: `nftables`. */
  readonly name: string;
  read(): Promise<readonly ForwardFilter[]>;
}

const everybody: readonly ForwardFilters[] = [
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

export interface ForwardOptions {
  readonly acceptInForeignChains: boolean;
}

/**
 * Tells where somebody else's rules drop the answers of pods, and where they no longer do. It changes nothing unless the
 * options ask for it, and nothing fails for it.
 */
class ForwardCheck {
  /** By the filter's name, the source that told of it. */
  readonly #told = new Map<string, ForwardFilters>();
  readonly #unreadable = new Set<ForwardFilters>();

  constructor(
    private readonly sources: readonly ForwardFilters[],
    private readonly options: () => ForwardOptions,
    private readonly log: Logger,
  ) {}

  /** How many filters of others drop the answers of pods. */
  get blocking(): number {
    return this.#told.size;
  }

  /** Looks once more; says only what is new. */
  async look(): Promise<void> {
    for (const source of this.sources) {
      try {
        const dropping = (await source.read()).filter(dropsAnswers);
        this.#compare(
          source,
          dropping.filter((filter) => !this.#opened(filter)),
        );
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
  #opened(filter: ForwardFilter): boolean {
    // iptables would no longer understand its own chain.
    if (!this.options().acceptInForeignChains || filter.by !== 'nftables') return false;
    const reason = insertAcceptRule(filter);
    if (reason === undefined)
      this.log.info({ filter: filterName(filter) }, 'inserted a rule that accepts the answers of pods');
    else this.log.warn({ filter: filterName(filter), reason }, 'could not let the answers of pods through');
    return reason === undefined;
  }

  #compare(source: ForwardFilters, dropping: readonly ForwardFilter[]): void {
    const found = new Map(dropping.map((filter) => [filterName(filter), filter]));
    for (const [name, filter] of found) if (!this.#told.has(name)) this.#tell(source, filter);
    for (const [name, by] of this.#told)
      if (by === source && !found.has(name)) {
        this.#told.delete(name);
        this.log.info({ filter: name }, 'the answers of pods pass again');
      }
  }

  #tell(source: ForwardFilters, filter: ForwardFilter): void {
    this.#told.set(filterName(filter), source);
    const { by, family, table, chain, priority, policy } = filter;
    this.log.warn(
      { by, family, table, chain, priority, policy, problem: findingText(filter), remedy: remedyFor(filter) },
      'rules of others drop the answers of pods',
    );
  }
}

/** Looks now, tells what is found, and looks again after each period. What is asked for each time may change. Never rejects. */
export const watchForwarding = async (
  settings: () => ForwardOptions & { readonly syncPeriod: number },
  log: Logger,
): Promise<Disposable & Pick<ForwardCheck, 'blocking'>> => {
  const check = new ForwardCheck(everybody, settings, log);
  await check.look();
  let timer: NodeJS.Timeout | undefined;
  const lookLater = (): void => {
    timer = setTimeout(
      () => {
        void check.look();
        lookLater();
      },
      Math.min(settings().syncPeriod, longestDelayMilliseconds),
    );
  };
  lookLater();
  return {
    get blocking() {
      return check.blocking;
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };
};
