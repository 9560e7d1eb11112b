import type { NodeState } from '../model/node.js';
import type { ReflectorCounters } from './api/reflector.js';
import type { ClusterStore } from './store/cluster-store.js';

/** How a source does, for logs, metrics and `--once`. */
export interface SourceHealth {
  /** Whether its first full state has reached the store. */
  readonly delivered: boolean;
  /** What keeps it from following its objects now, for people; undefined while all is well. */
  readonly lastError: string | undefined;
}

/** What a source counts; what does not concern it is empty. */
export interface SourceCounts {
  /** By resource: `services`, `endpointslices`, `nodes`. */
  readonly resources: ReadonlyMap<string, ReflectorCounters & { readonly following: boolean }>;
  readonly manifests: ManifestCounts | undefined;
}

export interface ManifestCounts {
  /** How often a file, or the folder, could not be read or understood. */
  readonly failures: number;
  /** How many are so now. */
  readonly broken: number;
}

/** Where objects come from: an API server or manifests. It fills the store it is started with until it is disposed of. */
export interface Source extends AsyncDisposable {
  readonly name: string;
  /** Begins to fill the store, at once and in the background; to be called once. */
  start(store: ClusterStore): void;
  health(): SourceHealth;
  counts(): SourceCounts;
  /** Whether a node of this name is in the cluster, asked now; rejects where that is not known. */
  nodeState(name: string, signal: AbortSignal): Promise<NodeState>;
}
