import type { Family, IpAddress } from '../base/ip.js';
import type { Protocol } from '../base/protocol.js';

/** Addresses and ports of the packets of one direction. */
export interface FlowDirection {
  readonly source: IpAddress;
  readonly sourcePort: number;
  readonly destination: IpAddress;
  readonly destinationPort: number;
}

/** An entry of the kernel's connection tracking. */
export interface Flow {
  readonly family: Family;
  readonly protocol: Protocol;
  /** As the client sends. */
  readonly original: FlowDirection;
  /** As the answers come: from the real server where IPVS chose one, from `original.destination` where nobody changed it. */
  readonly reply: FlowDirection;
  /** The kernel's name of just this entry: another flow with the same addresses and ports later has another one. */
  readonly id: number | undefined;
  /** Flows of different zones may have the same addresses and ports; 0 unless somebody's rules say otherwise. */
  readonly zone: number;
}

/** Which flows to read. */
export interface FlowQuery {
  readonly family: Family;
  readonly protocol: Protocol;
  /** Only those to this original destination. */
  readonly destination?: IpAddress | undefined;
  readonly destinationPort?: number | undefined;
}
