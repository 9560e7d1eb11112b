/** How a request is sent; `ping` is an ICMP echo. */
export type Transport = 'tcp' | 'udp' | 'sctp' | 'ping';

/** Requests to one address, one after the other: at least `least`, and on until there were `distinct` answers, but at most `most`. */
export interface Question {
  readonly id: number;
  readonly protocol: Transport;
  readonly address: string;
  /** 0 for `ping`. */
  readonly port: number;
  /** Milliseconds to wait for each answer. */
  readonly patience: number;
  readonly least: number;
  readonly distinct: number;
  readonly most: number;
  /** Whether to go on after a request without an answer. */
  readonly pastTimeout: boolean;
  /** What a TCP client says first, nothing unless told; what a UDP client sends in the place of `ID.TRY`. */
  readonly say?: string;
  /** Source port; one that was never used unless told. */
  readonly from?: number;
}

/** `NAME ADDRESS PORT` of the source that a pod saw, another line of a server, `refused`, `timeout`, `answered` (ping) or an error's name. */
export interface Reply {
  readonly id: number;
  readonly answers: readonly string[];
}

/** A datagram that came to a server, whether its answer finds the way back or not. */
export interface Received {
  /** `ID.TRY` of the question. */
  readonly received: string;
  readonly by: string;
  readonly source: string;
}
