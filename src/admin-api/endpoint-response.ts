import type { UnusedReason, UsedReason } from '../plan/endpoints/endpoint-selection.js';
import type { WeightReason } from '../plan/endpoints/endpoint-weight.js';

/** Whether and why an endpoint is used. */
export interface EndpointSelectionResponse {
  readonly used: boolean;
  readonly reason: UsedReason | UnusedReason;
}

/** An endpoint of a Service on one of its ports. */
export interface EndpointResponse {
  /** The key of its real server, `10.244.1.5:8080`. */
  readonly realServer: string;
  /** The name of the port of the Service ('' if it has none) and its protocol. */
  readonly port: string;
  readonly protocol: string;
  /** As `namespace/name`. */
  readonly pod?: string;
  readonly node?: string;
  readonly zone?: string;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly zoneHints?: readonly string[];
  readonly nodeHints?: readonly string[];
  /** Its weight, and where that comes from; absent where the Service has no weights. */
  readonly weight?: number;
  readonly weightReason?: WeightReason;
  /** The selection on this node with traffic policy Cluster, and with Local. */
  readonly cluster: EndpointSelectionResponse;
  readonly local: EndpointSelectionResponse;
}
