import type { ClusterStore } from './cluster-store.js';

/** How a source does, for logs, metrics and `--once`. */
export interface SourceHealth {
  /** Whether its first full state has reached the store. */
  readonly delivered: boolean;
  /** What keeps it from following its objects now, for people; undefined while all is well. */
  readonly trouble: string | undefined;
}

/** Where objects come from: an API server or manifests. It fills the store it is started with until it is disposed of. */
export interface Source extends AsyncDisposable {
  readonly name: string;
  /** Begins to fill the store, at once and in the background; to be called once. */
  start(store: ClusterStore): void;
  health(): SourceHealth;
}
