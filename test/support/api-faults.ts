/** What can be made to go wrong with an answer of the test API server. */
export type Fault =
  /** Answers with this status; `html`: as a load balancer would, without a Status object. */
  | {
      readonly fault: 'status';
      readonly status: number;
      readonly reason?: string;
      readonly message?: string;
      readonly retryAfterSeconds?: number;
      readonly tooLargeVersion?: boolean;
      readonly html?: boolean;
    }
  /** Takes the request and closes the connection. */
  | { readonly fault: 'refuse' }
  /** Takes the request and never answers. */
  | { readonly fault: 'no-answer' }
  /** After so many whole events or items: half of the next one, then the connection is closed. */
  | { readonly fault: 'cut'; readonly after: number }
  /** …: the connection is reset between two. */
  | { readonly fault: 'reset'; readonly after: number }
  /** …: nothing more comes, the connection stays (a half-open one looks like this). */
  | { readonly fault: 'silence'; readonly after: number }
  /** …: a line that is no JSON, then it goes on as if nothing were. */
  | { readonly fault: 'garbage'; readonly after: number }
  /** …: half an event, then an orderly end. */
  | { readonly fault: 'half-and-end'; readonly after: number }
  /** …: a line without end, so many bytes a piece, until the client leaves. */
  | { readonly fault: 'endless-line'; readonly after: number; readonly pieceBytes: number }
  /** …: an orderly end. */
  | { readonly fault: 'end'; readonly after: number }
  /** …: an ERROR event with this status, then an orderly end. */
  | {
      readonly fault: 'error-event';
      readonly after: number;
      readonly status: number;
      readonly reason: string;
    }
  /** Each event comes twice; lists come as ever. */
  | { readonly fault: 'twice' }
  /** Everything comes in pieces of so many bytes with pauses between. */
  | { readonly fault: 'slow'; readonly pieceBytes: number; readonly milliseconds: number };

/** `watchlist`: a watch that begins with all objects. `page`: a list by continue token. Events alone are created and patched, Nodes alone got by name. */
export type Verb = 'get' | 'list' | 'page' | 'watch' | 'watchlist' | 'create' | 'patch';

export interface FaultPlan {
  /** Undefined: whatever resource, as `services`. */
  readonly resource?: string;
  readonly verb?: Verb | readonly Verb[];
  /** How many requests it meets; 1 where nothing is said. */
  readonly times?: number;
  readonly fault: Fault;
}

/** Plans in the order they were made; each meets its number of requests, then is gone. */
export class FaultPlans {
  #plans: { readonly plan: FaultPlan; left: number }[] = [];

  add(plan: FaultPlan): void {
    this.#plans.push({ plan, left: plan.times ?? 1 });
  }

  clear(): void {
    this.#plans = [];
  }

  /** Plans that have not met all their requests yet. */
  get pending(): number {
    return this.#plans.length;
  }

  take(resource: string, verb: Verb): Fault | undefined {
    const met = this.#plans.find(
      ({ plan }) =>
        (plan.resource === undefined || plan.resource === resource) &&
        (plan.verb === undefined || [plan.verb].flat().includes(verb)),
    );
    if (met === undefined) return undefined;
    met.left -= 1;
    if (met.left === 0) this.#plans = this.#plans.filter((plan) => plan !== met);
    return met.plan.fault;
  }
}
