import type { NodeState } from '../model/node.js';
import type { ReflectorCounters } from './api/reflector.js';
import type { ClusterStore } from './store/cluster-store.js';

/** Health of a source, for logs, metrics and `--once`. */
export interface SourceHealth {
  /** Whether its first full state has reached the store. */
  readonly delivered: boolean;
  /** Why it cannot follow its objects now; undefined while it follows them. */
  readonly lastError: string | undefined;
}

/** Counters of a source; those of the other kind of source are empty. */
export interface SourceCounts {
  /** By resource: `services`, `endpointslices`, `nodes`; where weights need pods, `pods` or `pods/NAMESPACE`. */
  readonly resources: ReadonlyMap<string, ReflectorCounters & { readonly following: boolean }>;
  readonly manifests: ManifestCounts | undefined;
}

export interface ManifestCounts {
  /** How often a file or the folder could not be read or parsed. */
  readonly failures: number;
  /** How many files cannot be read or parsed now. */
  readonly broken: number;
}

/** A source of objects: an API server or manifests. It updates the store until it is disposed. */
export interface Source extends AsyncDisposable {
  readonly name: string;
  /** Starts to update the store, in the background. Call it once. */
  start(store: ClusterStore): void;
  health(): SourceHealth;
  counts(): SourceCounts;
  /** Whether the cluster has a node of this name now; rejects where that is unknown. */
  nodeState(name: string, signal: AbortSignal): Promise<NodeState>;
}
