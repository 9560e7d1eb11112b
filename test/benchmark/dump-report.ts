/** The median time of one command of dump.ts, and its ratio to `ipvsadm -Sn`. */
export interface DumpTime {
  readonly name: string;
  readonly milliseconds: number;
  readonly ratio: number;
}

/** What dump.ts prints as JSON. */
export interface DumpTimes {
  readonly kernel: string;
  readonly services: number;
  readonly endpoints: number;
  readonly runs: number;
  readonly result: readonly DumpTime[];
}
