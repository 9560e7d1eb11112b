import type { IpAddress } from '../../base/ip.js';
import type { Urgency } from './sync-runner.js';

/** What makes the sync loop act. */
export type SyncTrigger =
  | { readonly kind: 'cluster-changed'; readonly urgency: Urgency }
  /** The node's addresses, gateways or facts changed: every Service is rendered again. */
  | { readonly kind: 'node-changed' }
  /** Another program bound or unbound VIPs. */
  | { readonly kind: 'vips-changed'; readonly addresses: Iterable<IpAddress> }
  /** The address events do not say which addresses belong to which interface: all are read again. */
  | { readonly kind: 'addresses-untrusted' }
  /** Another program changed our nftables tables, or the kernel dropped events about them. */
  | { readonly kind: 'packet-rules-untrusted' }
  /** A Node was deleted from the cluster: its draining real servers are checked now. */
  | { readonly kind: 'node-deleted' };

export type NotifySyncLoop = (trigger: SyncTrigger) => void;
