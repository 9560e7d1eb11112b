import { compareNames, NodeGroups, type NodeAnswer, type NodeGroup } from './node-groups.js';
import { nodeFindings } from './node-findings.js';
import { frontendName, type ServiceAnswer } from './service-answer.js';
import type { ServiceTruth } from './service-truth.js';

/** A frontend of the Service over all nodes. */
export interface FrontendSummary {
  readonly name: string;
  readonly policy: string;
  /** How many nodes have each scheduler, the most frequent first. */
  readonly schedulers: readonly (readonly [scheduler: string, nodes: number])[];
  /** The fewest and the most real servers of a node that get new connections. */
  readonly realServers: readonly [least: number, most: number];
}

/** A real server over all nodes and frontends. */
export interface BackendSummary {
  readonly realServer: string;
  readonly pod: string | undefined;
  /** How many nodes have it wherever they should. */
  readonly nodes: number;
  /** Nodes that should have it and whose kernel lacks it. */
  readonly missingOn: readonly string[];
}

export interface ServiceComparison {
  /** How many nodes are as they should be. */
  readonly alike: readonly string[];
  /** Nodes that differ, by what they differ in; the largest group first. */
  readonly differing: readonly NodeGroup<readonly string[]>[];
  readonly frontends: readonly FrontendSummary[];
  readonly backends: readonly BackendSummary[];
  readonly unanswered: readonly { readonly node: string; readonly reason: string }[];
}

interface Backend {
  pod: string | undefined;
  readonly nodes: Set<string>;
  readonly missingOn: Set<string>;
}

interface FrontendRecord {
  readonly policy: string;
  /** By node. */
  readonly schedulers: Map<string, string>;
  readonly counts: Map<string, number>;
}

type Served = NonNullable<ServiceAnswer['service']>['virtualServers'][number];

const valueOrNew = <Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value => {
  const known = map.get(key);
  if (known !== undefined) return known;
  const value = make();
  map.set(key, value);
  return value;
};

const mostFrequentFirst = (values: Iterable<string>): readonly (readonly [string, number])[] => {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].toSorted(([a, one], [b, other]) => other - one || compareNames(a, b));
};

/** Adds up what nodes have of one Service, node by node; it does not keep their answers. */
export class ServiceComparer {
  readonly #findings = new Map<string, readonly string[]>();
  readonly #frontends = new Map<string, FrontendRecord>();
  readonly #backends = new Map<string, Backend>();
  readonly #unanswered = new Map<string, string>();

  /** A second answer of a node replaces the first. */
  add({ node, answer, reason }: NodeAnswer<ServiceAnswer>, truth: ServiceTruth): void {
    this.#forget(node);
    if (answer === undefined) {
      this.#unanswered.set(node, reason);
      return;
    }
    this.#findings.set(node, nodeFindings(truth, answer));
    for (const served of answer.service?.virtualServers ?? []) this.#addServed(node, served, answer);
  }

  get differingNodes(): readonly string[] {
    return [...this.#findings].filter(([, findings]) => findings.length > 0).map(([node]) => node);
  }

  result(): ServiceComparison {
    const groups = new NodeGroups<readonly string[]>();
    const alike: string[] = [];
    const minorities = this.#minorityFindings();
    for (const [node, own] of this.#findings) {
      const findings = [...own, ...(minorities.get(node) ?? [])];
      if (findings.length === 0) alike.push(node);
      else groups.add(node, findings.join('\n'), () => findings);
    }
    return {
      alike: alike.toSorted(compareNames),
      differing: groups.all(),
      frontends: [...this.#frontends].map(([name, record]) => frontendSummary(name, record)),
      backends: backendSummaries(this.#backends),
      unanswered: [...this.#unanswered]
        .map(([node, reason]) => ({ node, reason }))
        .toSorted((a, b) => compareNames(a.node, b.node)),
    };
  }

  #forget(node: string): void {
    this.#findings.delete(node);
    this.#unanswered.delete(node);
    for (const { schedulers, counts } of this.#frontends.values()) {
      schedulers.delete(node);
      counts.delete(node);
    }
    for (const { nodes, missingOn } of this.#backends.values()) {
      nodes.delete(node);
      missingOn.delete(node);
    }
  }

  #addServed(node: string, served: Served, { kernel }: ServiceAnswer): void {
    const record = valueOrNew(this.#frontends, frontendName(served), () => ({
      policy: served.policy,
      schedulers: new Map<string, string>(),
      counts: new Map<string, number>(),
    }));
    const found = kernel === undefined ? served.kernel : kernel.virtualServers[served.key];
    if (found !== undefined) {
      record.schedulers.set(node, found.scheduler);
      const active = Object.entries(found.realServers).filter(([, { weight }]) => weight > 0);
      record.counts.set(node, active.length);
      for (const [key] of active) this.#backendOf(key, served).nodes.add(node);
    }
    for (const key of Object.keys(served.wanted?.realServers ?? {}))
      if (found?.realServers[key] === undefined) this.#backendOf(key, served).missingOn.add(node);
  }

  #backendOf(key: string, { realServers }: Served): Backend {
    const backend = valueOrNew(this.#backends, key, () => ({
      pod: undefined,
      nodes: new Set<string>(),
      missingOn: new Set<string>(),
    }));
    backend.pod ??= realServers[key]?.pod;
    return backend;
  }

  /** By node. Nodes may have other settings; those that few have are worth a look. */
  #minorityFindings(): ReadonlyMap<string, readonly string[]> {
    const findings = new Map<string, string[]>();
    for (const [name, { schedulers }] of this.#frontends) {
      const [most, ...others] = mostFrequentFirst(schedulers.values());
      if (most === undefined || others.length === 0) continue;
      for (const [node, own] of schedulers)
        if (own !== most[0])
          valueOrNew(findings, node, (): string[] => []).push(
            `${name} has scheduler ${own}; ${most[1]} of ${schedulers.size} nodes have ${most[0]}`,
          );
    }
    return findings;
  }
}

const frontendSummary = (name: string, { policy, schedulers, counts }: FrontendRecord): FrontendSummary => ({
  name,
  policy,
  schedulers: mostFrequentFirst(schedulers.values()),
  realServers: counts.size === 0 ? [0, 0] : [Math.min(...counts.values()), Math.max(...counts.values())],
});

const backendSummaries = (backends: ReadonlyMap<string, Backend>): readonly BackendSummary[] =>
  [...backends]
    .filter(([, { nodes, missingOn }]) => nodes.size + missingOn.size > 0)
    .map(([realServer, { pod, nodes, missingOn }]) => ({
      realServer,
      pod,
      nodes: [...nodes].filter((node) => !missingOn.has(node)).length,
      missingOn: [...missingOn].toSorted(compareNames),
    }))
    .toSorted((a, b) => compareNames(a.realServer, b.realServer));
