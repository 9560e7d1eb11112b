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
  /** The packets that the client sends. */
  readonly original: FlowDirection;
  /** The packets that the server sends: from the real server that IPVS chose, or from `original.destination` without translation. */
  readonly reply: FlowDirection;
  /** The kernel's id of this entry: a later flow with the same addresses and ports has another one. */
  readonly id: number | undefined;
  /** Flows of different zones may have the same addresses and ports; 0 unless packet rules set a zone. */
  readonly zone: number;
}

/** Selects flows. */
export interface FlowQuery {
  readonly family: Family;
  readonly protocol: Protocol;
  /** The original destination address. */
  readonly destination?: IpAddress | undefined;
  readonly destinationPort?: number | undefined;
}
