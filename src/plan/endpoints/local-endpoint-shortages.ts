import type { Family } from '../../base/ip.js';

/** A Service has usable endpoints in a family but none on this node, and its traffic policy is `Local`. */
export interface LocalEndpointShortage {
  readonly policy: 'internal' | 'external';
  readonly family: Family;
}

/** Counts the Services that lack local endpoints, by policy and family. */
export class LocalEndpointShortages {
  readonly #counts = {
    internal: { IPv4: 0, IPv6: 0 },
    external: { IPv4: 0, IPv6: 0 },
  } satisfies Record<LocalEndpointShortage['policy'], Record<Family, number>>;

  get counts(): Readonly<Record<LocalEndpointShortage['policy'], Readonly<Record<Family, number>>>> {
    return this.#counts;
  }

  add(shortages: readonly LocalEndpointShortage[]): void {
    for (const { policy, family } of shortages) this.#counts[policy][family] += 1;
  }

  remove(shortages: readonly LocalEndpointShortage[]): void {
    for (const { policy, family } of shortages) this.#counts[policy][family] -= 1;
  }
}
