import type { StatusResponse } from '../admin-api/responses.js';
import { compareNames, type NodeAnswer } from './node-groups.js';

/** The status of the daemon of a node, as a line. */
export interface NodeStatus {
  readonly node: string;
  readonly state: 'no-answer' | 'not-healthy' | 'problems' | 'healthy';
  /** Absent without an answer, as all fields below. */
  readonly version?: string;
  /** The last sync applied everything, and the kernel refuses nothing. */
  readonly inSync?: boolean;
  readonly virtualServers?: number;
  readonly realServers?: number;
  readonly draining?: number;
  /** How many objects of kube-ipvs other programs changed since the daemon started; it repaired them. */
  readonly drift?: number;
  readonly configDigest?: string;
  readonly kernelRelease?: string;
  readonly uptimeSeconds?: number;
  /** What needs attention; '' where nothing does. */
  readonly lastError: string;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

/** What needs attention although the daemon is healthy, the most important first. */
const errorsOf = (status: StatusResponse): readonly string[] => [
  ...(status.source.trouble === undefined ? [] : [status.source.trouble]),
  ...status.refused.slice(0, 1).map(({ what, reason }) => `${what}: ${reason}`),
  ...status.contested
    .slice(0, 1)
    .map(({ virtualServer, service }) => `another program created ${virtualServer} of Service ${service}`),
  ...(status.counts.problems === 0
    ? []
    : [`${status.counts.problems} problems; see the Events of the Services`]),
];

/** `healthProblems`: why the daemon is not healthy and synced. */
export const nodeStatus = (
  node: string,
  status: StatusResponse,
  healthProblems: readonly string[],
): NodeStatus => {
  const errors = errorsOf(status);
  const { counts, lastSync } = status;
  return {
    node,
    state: healthProblems.length > 0 ? 'not-healthy' : errors.length > 0 ? 'problems' : 'healthy',
    version: status.programVersion,
    inSync: status.synced && lastSync?.succeeded === true && status.refusedCount === 0,
    virtualServers: counts.virtualServers,
    realServers: counts.realServers,
    draining: counts.draining,
    drift: sum(status.drift.map(({ count }) => count)),
    configDigest: status.configDigest,
    kernelRelease: status.kernelRelease,
    uptimeSeconds: status.uptimeSeconds,
    lastError: [...healthProblems, ...errors][0] ?? '',
  };
};

export const statusWithoutAnswer = ({ node, reason = '' }: NodeAnswer<unknown>): NodeStatus => ({
  node,
  state: 'no-answer',
  lastError: reason,
});

const severity: Readonly<Record<NodeStatus['state'], number>> = {
  'no-answer': 3,
  'not-healthy': 2,
  problems: 1,
  healthy: 0,
};

/** The worst node first. */
export const byTrouble = (a: NodeStatus, b: NodeStatus): number =>
  severity[b.state] - severity[a.state] ||
  Number(a.inSync ?? true) - Number(b.inSync ?? true) ||
  (b.drift ?? 0) - (a.drift ?? 0) ||
  compareNames(a.node, b.node);
