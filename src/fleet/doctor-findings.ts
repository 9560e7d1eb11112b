import { compareNames, NodeGroups, type NodeGroup } from './node-groups.js';

/** A check in `doctor -o json`. */
export interface NodeCheck {
  readonly id: string;
  readonly result: 'pass' | 'warn' | 'fail' | 'unknown';
  readonly seen: string;
  readonly remedy: string;
}

/** A check that does not pass on some nodes. */
export interface CheckFinding {
  readonly id: string;
  readonly result: NodeCheck['result'];
  readonly nodes: readonly string[];
  /** What the nodes saw, the most frequent first. */
  readonly seen: readonly NodeGroup<string>[];
  readonly remedy: string;
}

const severity: Readonly<Record<NodeCheck['result'], number>> = { fail: 3, warn: 2, unknown: 1, pass: 0 };

interface Found {
  readonly check: NodeCheck;
  readonly nodes: string[];
  readonly seen: NodeGroups<string>;
}

/** Adds up the checks of all nodes that do not pass. */
export class DoctorFindings {
  readonly #found = new Map<string, Found>();

  add(node: string, checks: readonly NodeCheck[]): void {
    for (const check of checks) {
      if (check.result === 'pass') continue;
      const key = `${check.result} ${check.id}`;
      const found = this.#found.get(key) ?? { check, nodes: [], seen: new NodeGroups<string>() };
      this.#found.set(key, found);
      found.nodes.push(node);
      found.seen.add(node, check.seen, () => check.seen);
    }
  }

  /** Failures first, then what most nodes have. */
  all(): readonly CheckFinding[] {
    return [...this.#found.values()]
      .map(({ check: { id, result, remedy }, nodes, seen }) => ({
        id,
        result,
        nodes: nodes.toSorted(compareNames),
        seen: seen.all(),
        remedy,
      }))
      .toSorted(
        (a, b) =>
          severity[b.result] - severity[a.result] ||
          b.nodes.length - a.nodes.length ||
          compareNames(a.id, b.id),
      );
  }
}
