import type { RealServer, VirtualServerIdentity, VirtualServerKey } from '../../model/virtual-server.js';
import type { EngineState } from '../state/engine-state.js';
import type { IpvsReads, UnreadableHandler } from './kernel-reader.js';

/** What the rounds of a resync read and compare. */
export interface RoundParts {
  readonly ipvs: IpvsReads;
  readonly state: EngineState;
  /** Whether kube-ipvs owns a virtual server that it does not know yet. */
  readonly isOurs: (identity: VirtualServerIdentity) => boolean;
  /** Whether a Service defines the virtual server. */
  readonly isDesired: (key: VirtualServerKey) => boolean;
  /** The real servers that a Service defines for the virtual server. */
  readonly desiredRealServers: (key: VirtualServerKey) => readonly RealServer[] | undefined;
  readonly onUnreadable: UnreadableHandler;
}

/** What one round finds. */
export interface Findings {
  /** The virtual servers that kube-ipvs owns. */
  readonly listed: Set<VirtualServerKey>;
  readonly foreign: Map<VirtualServerKey, VirtualServerIdentity>;
  readonly drifted: Set<VirtualServerKey>;
}

/** `drifted`: what an earlier, incomplete round found. */
export const noFindings = (drifted = new Set<VirtualServerKey>()): Findings => ({
  listed: new Set(),
  foreign: new Map(),
  drifted,
});

/** Maximum time between two turns of the event loop. */
export const maximumTurnMilliseconds = 4;
