import { aligned, median } from './report.js';

/** What is sent: packets of one UDP flow, first packets of UDP flows, TCP connections. */
export const trafficKinds = ['packet', 'flow', 'connection'] as const;
export type TrafficKind = (typeof trafficKinds)[number];

/**
 * The nodes that are measured by turns. `ipvs` tracks connections, as every node that masquerades does;
 * `untracked` does not, `nat` has a chain of type nat, too. `beside` is traffic between pods on the node of kube-ipvs.
 */
export const trafficNodes = ['direct', 'untracked', 'ipvs', 'nat', 'kube-ipvs', 'beside'] as const;
export type TrafficNode = (typeof trafficNodes)[number];

/**
 * The nodes of `--in-cluster`: kube-ipvs with externalTrafficPolicyLocal.inClusterEndpoints `local` and `all`. Traffic is from a pod
 * to a load balancer IP of a Service with externalTrafficPolicy Local.
 */
export const inClusterNodes = ['local', 'all'] as const;
export type InClusterNode = (typeof inClusterNodes)[number];

/** One run of scripts/benchmark/traffic.c. */
export interface TrafficRun<Node = TrafficNode> {
  readonly node: Node;
  readonly kind: TrafficKind;
  readonly microseconds: number;
}

export interface TrafficMeasurements<Node = TrafficNode> {
  readonly kernel: string;
  readonly services: number;
  readonly rounds: number;
  readonly runs: readonly TrafficRun<Node>[];
}

/** Medians in microseconds, and the ratios that count. */
export interface TrafficRow extends Readonly<Record<TrafficNode, number>> {
  readonly kind: TrafficKind;
  /** kube-ipvs / ipvs; at most `limit`. */
  readonly ratio: number;
  readonly limit: number;
  readonly met: boolean;
  /** kube-ipvs / nat: what the rules add to what the kernel's NAT costs. */
  readonly natRatio: number;
}

export interface TrafficResult extends Omit<TrafficMeasurements, 'runs'> {
  readonly rows: readonly TrafficRow[];
}

/** The goals: at most so many times IPVS alone. */
const limits: Readonly<Record<TrafficKind, number>> = { packet: 1.1, flow: 1.18, connection: 1.02 };

const hundredths = (value: number): number => Math.round(value * 100) / 100;

const rowOf = (kind: TrafficKind, runs: readonly TrafficRun[]): TrafficRow => {
  const medianAt = (node: TrafficNode): number =>
    hundredths(median(runs.filter((run) => run.node === node).map((run) => run.microseconds)));
  const medians = Object.fromEntries(trafficNodes.map((node) => [node, medianAt(node)])) as Record<
    TrafficNode,
    number
  >;
  const ratio = hundredths(medians['kube-ipvs'] / medians.ipvs);
  const limit = limits[kind];
  const natRatio = hundredths(medians['kube-ipvs'] / medians.nat);
  return { kind, ...medians, ratio, limit, met: ratio <= limit, natRatio };
};

export const trafficResultOf = ({ runs, ...setting }: TrafficMeasurements): TrafficResult => ({
  ...setting,
  rows: trafficKinds.map((kind) =>
    rowOf(
      kind,
      runs.filter((run) => run.kind === kind),
    ),
  ),
});

const rowTitles: Readonly<Record<TrafficKind, string>> = {
  packet: 'established UDP packet',
  flow: 'new UDP flow',
  connection: 'TCP connection',
};

/** The result as a table that lines up, with a newline at the end. */
export const trafficResultText = ({ kernel, services, rounds, rows }: TrafficResult): string => {
  const heading = ['microseconds', ...trafficNodes, 'ratio', 'aim', '', 'to nat'];
  const cells = rows.map((row) => [
    rowTitles[row.kind],
    ...trafficNodes.map((node) => row[node].toFixed(2)),
    row.ratio.toFixed(2),
    row.limit.toFixed(2),
    row.met ? 'met' : 'NOT MET',
    row.natRatio.toFixed(2),
  ]);
  return [
    `${services} Services; kernel ${kernel}; median of ${rounds}`,
    '',
    ...aligned([heading, ...cells]),
    '',
    'direct     from pod to pod, on a node without IPVS and connection tracking',
    'untracked  to a ClusterIP, IPVS filled by ipvsadm; Linux does not track connections, as no rule needs it',
    'ipvs       the same with connection tracking',
    'nat        the same with an empty chain of type nat, as on every node on which a program masquerades',
    'kube-ipvs  to a ClusterIP, by kube-ipvs',
    'beside     from pod to pod on the node of kube-ipvs',
    'ratio      kube-ipvs / ipvs; aim: at most so much',
    'to nat     kube-ipvs / nat',
    '',
  ].join('\n');
};

/** Medians in microseconds, and what `all` costs more. */
export interface InClusterRow extends Readonly<Record<InClusterNode, number>> {
  readonly kind: TrafficKind;
  readonly difference: number;
}

export interface InClusterResult extends Omit<TrafficMeasurements, 'runs'> {
  readonly rows: readonly InClusterRow[];
}

export const inClusterResultOf = ({
  runs,
  ...setting
}: TrafficMeasurements<InClusterNode>): InClusterResult => ({
  ...setting,
  rows: trafficKinds.map((kind) => {
    const medianAt = (node: InClusterNode): number =>
      hundredths(
        median(runs.filter((run) => run.kind === kind && run.node === node).map((run) => run.microseconds)),
      );
    const [local, all] = [medianAt('local'), medianAt('all')];
    return { kind, local, all, difference: hundredths(all - local) };
  }),
});

export const inClusterResultText = ({ kernel, services, rounds, rows }: InClusterResult): string =>
  [
    `${services} Services; kernel ${kernel}; median of ${rounds}`,
    '',
    ...aligned([
      ['microseconds', ...inClusterNodes, 'difference'],
      ...rows.map(({ kind, local, all, difference }) => [
        rowTitles[kind],
        local.toFixed(2),
        all.toFixed(2),
        difference.toFixed(2),
      ]),
    ]),
    '',
    'local, all  externalTrafficPolicyLocal.inClusterEndpoints; from a pod to a load balancer IP',
    '',
  ].join('\n');
