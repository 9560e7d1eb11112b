import type { Pod, PodKey } from '../../model/pod.js';
import { toPod } from '../objects/parse-pod.js';
import type { ClusterStore } from '../store/cluster-store.js';
import type { PodDemand } from '../store/pod-store.js';
import type { Collection } from './collection.js';

export interface PodFollowerParts {
  readonly store: ClusterStore;
  /** Keeps the collection equal to the API server's pods until the signal aborts. */
  readonly follow: (collection: Collection<PodKey, Pod>, signal: AbortSignal) => void;
  /** Called with all problems of a pod each time it comes. */
  readonly report: (object: string, problems: readonly string[]) => void;
  /** How long the first sync waits for the pods, milliseconds. */
  readonly timeoutMilliseconds: number;
}

/** Ended pods, such as those of Jobs, are no endpoints. */
const selectors = { fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed' };

/** A namespace, or `*`: all. */
type Scope = string;

const scopesOf = (demand: PodDemand): ReadonlySet<Scope> => (demand === 'all' ? new Set(['*']) : demand);

const demandOf = (scope: Scope): PodDemand => (scope === '*' ? 'all' : new Set([scope]));

/** Follows pods where the weights of some Service depend on them: of the namespaces of these Services, and of no others. */
export class PodFollower implements Disposable {
  readonly #running = new Map<Scope, AbortController>();
  /** Whose first list has not come yet. */
  readonly #pending = new Set<Scope>();
  #timer: NodeJS.Timeout | undefined;
  #isTimeOver = false;

  constructor(private readonly parts: PodFollowerParts) {
    parts.store.pods.onDemand((demand) => this.#change(scopesOf(demand)));
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #change(wanted: ReadonlySet<Scope>): void {
    const { store, timeoutMilliseconds } = this.parts;
    for (const [scope, controller] of this.#running) if (!wanted.has(scope)) this.#end(scope, controller);
    store.pods.forgetOthers();
    for (const scope of wanted) if (!this.#running.has(scope)) this.#begin(scope);
    if (this.#isTimeOver || this.#pending.size === 0) return;
    // Equal weights at first would be a change of every weight after each restart.
    store.waitFor('pods');
    this.#timer ??= setTimeout(() => {
      this.#isTimeOver = true;
      store.markDelivered('pods');
    }, timeoutMilliseconds);
  }

  #begin(scope: Scope): void {
    const controller = new AbortController();
    this.#running.set(scope, controller);
    this.#pending.add(scope);
    this.parts.follow(this.#collection(scope), controller.signal);
  }

  #end(scope: Scope, controller: AbortController): void {
    controller.abort();
    this.#running.delete(scope);
    this.#delivered(scope);
  }

  #delivered(scope: Scope): void {
    if (this.#pending.delete(scope) && this.#pending.size === 0) this.parts.store.markDelivered('pods');
  }

  #collection(scope: Scope): Collection<PodKey, Pod> {
    const { store, report } = this.parts;
    return {
      name: scope === '*' ? 'pods' : `pods/${scope}`,
      path: scope === '*' ? '/api/v1/pods' : `/api/v1/namespaces/${encodeURIComponent(scope)}/pods`,
      selectors,
      read: toPod,
      current: (key) => store.pods.get(key),
      replace: (objects) => {
        store.replacePods(demandOf(scope), objects);
        this.#delivered(scope);
      },
      apply: (changes) => store.apply(changes.map(({ key, value }) => ({ kind: 'pod', key, value }))),
      report,
    };
  }
}
