/** Where the sync loop is. */
export type SyncState =
  | 'not-started'
  /** Started, but the source has not delivered its first full state. */
  | 'waiting-for-sources'
  /** The next sync reads the whole kernel and adopts what is there. */
  | 'adopting'
  /** The observed state is current: a sync costs what changed. */
  | 'in-sync'
  /** A sync failed: changes wait for the retry. */
  | 'retrying'
  /** A programming error ends the process: the loop does not touch the kernel any more. */
  | 'failed';

export type SyncEvent =
  | 'started'
  | 'sources-synced'
  | 'synced'
  | 'sync-failed'
  /** The kernel may hold something else than the observed state says, or the operator asked for a resync. */
  | 'observed-state-lost'
  | 'retry-due'
  | 'programming-error';

type Transitions = Partial<Readonly<Record<SyncEvent, SyncState>>>;

/** An event without an entry does not change the state. */
export const transitions: Readonly<Record<SyncState, Transitions>> = {
  'not-started': { started: 'waiting-for-sources', 'programming-error': 'failed' },
  'waiting-for-sources': { 'sources-synced': 'adopting', 'programming-error': 'failed' },
  adopting: { synced: 'in-sync', 'sync-failed': 'retrying', 'programming-error': 'failed' },
  'in-sync': {
    'sync-failed': 'retrying',
    'observed-state-lost': 'adopting',
    'programming-error': 'failed',
  },
  retrying: {
    'retry-due': 'adopting',
    'observed-state-lost': 'adopting',
    'programming-error': 'failed',
  },
  failed: {},
};

export const nextState = (state: SyncState, event: SyncEvent): SyncState =>
  transitions[state][event] ?? state;
