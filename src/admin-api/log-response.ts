import type { ChangeCause } from '../model/change-cause.js';

/**
 * What happened. `changed`: the kernel applied an operation; `refused`: it refused one, for a new reason; `conflict-begun`: a Service
 * needs a virtual server that another program created; `summary`: changes that are not listed singly, because there were many.
 */
export type LogEvent =
  | 'changed'
  | 'refused'
  | 'drain-begun'
  | 'drain-ended'
  | 'conflict-begun'
  | 'conflict-ended'
  | 'rules-declared'
  | 'interface-created'
  | 'settings-changed'
  | 'started'
  | 'summary';

/** How many changes of one sort a summary stands for. */
export interface LogCount {
  readonly event: LogEvent;
  /** With `changed`: as in the records. */
  readonly op?: 'add' | 'change' | 'remove';
  readonly kind?: string;
  readonly cause?: ChangeCause;
  readonly count: number;
}

/** One record of the log. Fields that do not apply or are not known are absent. */
export interface LogRecord {
  /** Grows with each record, also when the daemon restarts. */
  readonly id: number;
  /** For example `2026-11-23T10:00:00.000Z`. */
  readonly at: string;
  readonly event: LogEvent;
  /** Why; absent where `event` or `reason` says it. */
  readonly cause?: ChangeCause;
  /** `namespace/name` of the Service. */
  readonly service?: string;
  /** With `changed`: the operation, as in `diff -o json`. */
  readonly op?: 'add' | 'change' | 'remove';
  /** `virtual-server`, `real-server`, `address`, `route` or `element`. */
  readonly kind?: string;
  /** The virtual server of a real server, of a drain or of a conflict: `TCP 10.96.0.1:443`. */
  readonly virtualServer?: string;
  /** The object: `TCP 10.96.0.1:443`, `10.244.1.5:8080`, `10.96.0.1/32`, `IPv4 external 192.0.2.10 . TCP . 30080`. */
  readonly key?: string;
  /** The fields of an added object; of a changed one those that differ, and their values before. */
  readonly wanted?: Readonly<Record<string, string | number>>;
  readonly found?: Readonly<Record<string, string | number>>;
  /** The pod of a real server, `namespace/name`, and its node. */
  readonly pod?: string;
  readonly node?: string;
  /** With `refused`: the operation as text, such as `+ virtual server TCP 10.96.0.1:443 rr`. */
  readonly operation?: string;
  /** Why an operation was refused; how a drain ended: `idle`, `deadline`, `dead`, `node-gone`, `withdrawn`. */
  readonly reason?: string;
  /** With `drain-ended`: how long it took. */
  readonly seconds?: number;
  /** With `rules-declared`: `IPv4` or `IPv6`. */
  readonly family?: string;
  /** With `settings-changed`: `ipvs.scheduler: "rr" → "lc"`; with `started`: the version. */
  readonly details?: readonly string[];
  /** With `summary`: the time of the first of its changes, how many there are, and of which sorts. */
  readonly from?: string;
  readonly count?: number;
  readonly counts?: readonly LogCount[];
}

/**
 * `GET /v1/log`: what kube-ipvs changed in the kernel, and why. `?service=NAMESPACE/NAME` and `?since=TIME` (RFC 3339) select some;
 * `?after=ID` returns later records only, and `&wait=SECONDS` (at most 25) waits for the first of them. Records are kept in memory
 * only: at least those of the last hour, at most 12,000 and 4 MiB.
 */
export interface LogResponse {
  readonly version: 1;
  /** Since when records are kept: the start of the daemon, or the time of the last record that was dropped. */
  readonly keptSince: string;
  /** The id of the latest record, selected or not: for `after` of the next request. */
  readonly lastId: number;
  /** By time. */
  readonly records: readonly LogRecord[];
}
