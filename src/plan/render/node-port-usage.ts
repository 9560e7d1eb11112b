import type { PortRange } from '../packet-rules/rule-expressions.js';

/**
 * Above the API server's default --service-node-port-range (30000–32767), in the range of Linux's ephemeral
 * ports.
 */
const aboveNodePorts: PortRange = { first: 32_768, last: 65_535 };
const belowNodePorts: PortRange = { first: 1_024, last: 29_999 };

/** The number of ports that a masquerading node needs for connections to one endpoint. */
const sufficientPorts = 8_192;

const size = ({ first, last }: PortRange): number => last - first + 1;

/**
 * Chooses the source ports of masqueraded connections so that none is a node port. Counts node ports outside
 * the default range, which most clusters do not have.
 */
export class NodePortUsage {
  readonly #counts = new Map<number, number>();
  /** Undefined if it must be chosen again. Many changes thus cost one choice. */
  #range: PortRange | undefined = aboveNodePorts;

  get masqueradePorts(): PortRange {
    return (this.#range ??= this.#choose());
  }

  add(ports: readonly number[]): void {
    this.#count(ports, 1);
  }

  remove(ports: readonly number[]): void {
    this.#count(ports, -1);
  }

  #count(ports: readonly number[], step: number): void {
    const unusual = ports.filter((port) => port >= aboveNodePorts.first || port <= belowNodePorts.last);
    if (unusual.length === 0) return;
    for (const port of unusual) {
      const count = (this.#counts.get(port) ?? 0) + step;
      if (count > 0) this.#counts.set(port, count);
      else this.#counts.delete(port);
    }
    this.#range = undefined;
  }

  /** The first sufficiently large free range, otherwise the largest one. */
  #choose(): PortRange {
    const used = [...this.#counts.keys()].toSorted((a, b) => a - b);
    const stretches = [aboveNodePorts, belowNodePorts].flatMap((range) => freeStretches(range, used));
    const largest = stretches.toSorted((a, b) => size(b) - size(a));
    return stretches.find((stretch) => size(stretch) >= sufficientPorts) ?? largest[0] ?? aboveNodePorts;
  }
}

/** The free parts of a range, the last one first, because high ports are used least. */
const freeStretches = (range: PortRange, used: readonly number[]): readonly PortRange[] => {
  const inside = used.filter((port) => port >= range.first && port <= range.last);
  const edges = [range.first - 1, ...inside, range.last + 1];
  return edges
    .slice(1)
    .map((edge, index) => ({ first: (edges[index] ?? edge) + 1, last: edge - 1 }))
    .filter((stretch) => size(stretch) > 0)
    .toReversed();
};
