import type { PortRange } from '../packet-rules/rule-expressions.js';

/** Without the API server's default --service-node-port-range (30000–32767). */
const belowNodePorts: PortRange = { first: 1_024, last: 29_999 };
const aboveNodePorts: PortRange = { first: 32_768, last: 65_535 };

const size = ({ first, last }: PortRange): number => last - first + 1;

/**
 * Chooses the source ports of masqueraded connections so that none is a port that Services have on addresses
 * of the node. Counts such ports outside the default range, which most clusters do not have.
 */
export class NodePortUsage {
  readonly #counts = new Map<number, number>();
  /** Undefined if they must be chosen again. Many changes thus cost one choice. */
  #ranges: readonly PortRange[] | undefined;

  /** The two largest ranges of free ports, or the only one, in ascending order. */
  get masqueradePorts(): readonly PortRange[] {
    return (this.#ranges ??= this.#choose());
  }

  add(ports: readonly number[]): void {
    this.#count(ports, 1);
  }

  remove(ports: readonly number[]): void {
    this.#count(ports, -1);
  }

  #count(ports: readonly number[], step: number): void {
    const unusual = ports.filter(
      (port) => port >= aboveNodePorts.first || (port >= belowNodePorts.first && port <= belowNodePorts.last),
    );
    if (unusual.length === 0) return;
    for (const port of unusual) {
      const count = (this.#counts.get(port) ?? 0) + step;
      if (count > 0) this.#counts.set(port, count);
      else this.#counts.delete(port);
    }
    this.#ranges = undefined;
  }

  #choose(): readonly PortRange[] {
    const used = [...this.#counts.keys()].toSorted((a, b) => a - b);
    const largest = [belowNodePorts, aboveNodePorts]
      .flatMap((range) => freeStretches(range, used))
      .toSorted((a, b) => size(b) - size(a))
      .slice(0, 2);
    return largest.length === 0 ? [aboveNodePorts] : largest.toSorted((a, b) => a.first - b.first);
  }
}

/** The free parts of a range. */
const freeStretches = (range: PortRange, used: readonly number[]): readonly PortRange[] => {
  const inside = used.filter((port) => port >= range.first && port <= range.last);
  const edges = [range.first - 1, ...inside, range.last + 1];
  return edges
    .slice(1)
    .map((edge, index) => ({ first: (edges[index] ?? edge) + 1, last: edge - 1 }))
    .filter((stretch) => size(stretch) > 0);
};
