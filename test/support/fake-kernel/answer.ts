import { constants } from 'node:os';
import type { ByteWriter } from '../../../src/netlink/codec/bytes.js';

export type Body = (writer: ByteWriter) => void;

/** What a request is answered by. `objects` gives what there is at the moment: a dump asks again for each of its parts. */
export type Answer =
  | { readonly kind: 'done' }
  | { readonly kind: 'message'; readonly type: number; readonly body: Body }
  | {
      readonly kind: 'dump';
      readonly type: number;
      readonly objects: () => readonly Body[];
      /** Rises with each change; a dump during which it rises is marked as interrupted. Undefined: it never is. */
      readonly generation: (() => number) | undefined;
    };

export const done: Answer = { kind: 'done' };

type ErrnoName = keyof typeof constants.errno;

/** The kernel does not do what it was asked. */
export class Refusal extends Error {
  /** As the kernel counts them, positive. */
  readonly errno: number;

  /** `offset`: where the culprit lies in the request, counted from its netlink header. */
  constructor(
    readonly errnoName: ErrnoName,
    readonly explanation: { readonly text?: string; readonly offset?: number } = {},
  ) {
    super(errnoName);
    this.errno = constants.errno[errnoName];
  }
}

/** A multicast message, and the port that asked for what it tells of. */
export interface Notification {
  readonly protocol: 'route' | 'netfilter' | 'generic';
  readonly group: number;
  readonly type: number;
  readonly portId: number;
  readonly body: Body;
}

export type Notify = (notification: Notification) => void;
