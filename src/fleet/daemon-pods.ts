import { compareNames } from './node-groups.js';

/** A pod of the DaemonSet of kube-ipvs. */
export interface DaemonPod {
  readonly name: string;
  /** '' for a pod that waits for a node. */
  readonly node: string;
  /** For example `2026-11-30T10:00:00Z`. */
  readonly createdAt: string;
  readonly isTerminating: boolean;
  /** Why its container cannot run a command; undefined: it can. */
  readonly obstacle: string | undefined;
}

/** A node and the pod of its daemon. */
export interface DaemonTarget {
  readonly node: string;
  readonly pod: string;
}

export interface FleetMembers {
  readonly targets: readonly DaemonTarget[];
  /** Nodes whose daemon cannot be asked. */
  readonly unreachable: readonly { readonly node: string; readonly reason: string }[];
  /** Selected nodes without a pod. */
  readonly withoutPod: readonly string[];
}

/** Running before failed, staying before leaving, young before old: an update may leave two pods on a node for a moment. */
const isBetter = (a: DaemonPod, b: DaemonPod): boolean => {
  const rank = (pod: DaemonPod): number => (pod.obstacle === undefined ? 2 : 0) + (pod.isTerminating ? 0 : 1);
  return rank(a) === rank(b) ? a.createdAt > b.createdAt : rank(a) > rank(b);
};

/** The daemon of each selected node. `nodes` undefined: every node that has a pod is selected. */
export const fleetMembers = (
  pods: readonly DaemonPod[],
  nodes: readonly string[] | undefined,
): FleetMembers => {
  const best = new Map<string, DaemonPod>();
  for (const pod of pods) {
    const known = best.get(pod.node);
    if (pod.node !== '' && (known === undefined || isBetter(pod, known))) best.set(pod.node, pod);
  }
  const selected = (nodes ?? [...best.keys()]).toSorted(compareNames);
  const found = selected.flatMap((node) => best.get(node) ?? []);
  return {
    targets: found
      .filter(({ obstacle }) => obstacle === undefined)
      .map(({ node, name }) => ({ node, pod: name })),
    unreachable: found.flatMap(({ node, name, obstacle }) =>
      obstacle === undefined ? [] : [{ node, reason: `pod ${name}: ${obstacle}` }],
    ),
    withoutPod: selected.filter((node) => !best.has(node)),
  };
};
