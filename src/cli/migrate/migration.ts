import type { Remedy } from '../../doctor/remedy.js';
import type { NodeState } from './node-state.js';
import type { ProxySwitch } from './proxy-switch.js';

/** What a removal left: nothing if `remaining` is 0. */
export interface RemovalOutcome {
  readonly removed: number;
  readonly remaining: number;
}

/** Everything that a migration does to the node, and reads of it. */
export interface MigrationNode {
  /** The checks of `migrate check` that fail, as `id: what was seen`. */
  readonly failedChecks: () => Promise<readonly string[]>;
  readonly proxySwitch: ProxySwitch;
  readonly state: () => Promise<NodeState>;
  /** What kube-proxy left beside kube-ipvs. */
  readonly removeKubeProxy: () => Promise<RemovalOutcome>;
  /** Beside a kube-proxy in mode ipvs, which uses the virtual servers: the packet rules only. */
  readonly removePacketRules: () => Promise<RemovalOutcome>;
  /** Lets the rules of kube-proxy have all new connections. Connections through IPVS continue. */
  readonly releaseConnections: () => Promise<void>;
  /** Through virtual servers of kube-ipvs. */
  readonly activeConnections: () => Promise<number>;
  /** Everything of kube-ipvs. Ends connections through it. */
  readonly removeKubeIpvs: () => Promise<RemovalOutcome>;
  /** Rejects when the signal is aborted. */
  readonly delay: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

/** Milliseconds. */
export interface MigrationTimes {
  /** Requests before the change; none of them may fail. */
  readonly before: number;
  /** Requests after each step. */
  readonly observe: number;
  /** Until the other proxy serves. */
  readonly timeout: number;
  /** Until connections through IPVS have ended, after a return to another mode. */
  readonly drain: number;
}

/**
 * `unchanged`: not started; `migrated`, `returned`: the other proxy serves; `incomplete`: it serves, but something is left to do;
 * `rolled-back`: kube-proxy serves again; `failed`: neither direction could be completed.
 */
export type MigrationResult = 'unchanged' | 'migrated' | 'returned' | 'incomplete' | 'rolled-back' | 'failed';

export interface MigrationEnd {
  readonly result: MigrationResult;
  /** Why, if not all went well: a sentence without a full stop. */
  readonly reason: string | undefined;
  readonly remedies: readonly Remedy[];
}

/** 0: complete; 1: the previous proxy serves, or it is unknown which; 3: the other proxy serves, but something is left to do. */
export const statusOf = ({ result }: MigrationEnd): number => {
  if (result === 'migrated' || result === 'returned') return 0;
  return result === 'incomplete' ? 3 : 1;
};

/** Receives each step when it has ended. */
export type StepListener = (step: string, text: string) => void;
