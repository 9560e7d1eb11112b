import type { IpAddress } from '../base/ip.js';
import type { SetElement } from '../nftables/declarations.js';
import type { VipBinding } from './settings/vip-binding.js';
import type { RealServer, VirtualServer, VirtualServerIdentity, VirtualServerKey } from './virtual-server.js';
import { virtualServerKey } from './virtual-server.js';

export type VirtualServerOperation =
  | { readonly kind: 'add-virtual-server'; readonly server: VirtualServer }
  | { readonly kind: 'update-virtual-server'; readonly server: VirtualServer }
  | { readonly kind: 'delete-virtual-server'; readonly server: VirtualServerIdentity };

export type RealServerOperation =
  | { readonly kind: 'add-real-server'; readonly of: VirtualServerIdentity; readonly server: RealServer }
  | { readonly kind: 'update-real-server'; readonly of: VirtualServerIdentity; readonly server: RealServer }
  | { readonly kind: 'delete-real-server'; readonly of: VirtualServerIdentity; readonly server: RealServer };

export type IpvsOperation = VirtualServerOperation | RealServerOperation;

/** Makes a VIP local, or no longer local, in one of the two ways. */
export type AddressOperation =
  | {
      readonly kind: 'bind-address';
      readonly address: IpAddress;
      readonly binding: VipBinding;
      readonly replacedBy?: undefined;
    }
  | {
      readonly kind: 'unbind-address';
      readonly address: IpAddress;
      readonly binding: VipBinding;
      /** The binding that takes its place: the operation is sent only where the VIP has that one. */
      readonly replacedBy?: VipBinding;
    };

/** Changes a set of our nftables tables. */
export interface ElementOperation {
  readonly kind: 'add-element' | 'delete-element';
  readonly element: SetElement;
}

/** What the planner decides and the executor performs. */
export type Operation = IpvsOperation | AddressOperation | ElementOperation;

/** The result of an operation. `unknown`: the answer was lost, so its key must be read again. `errno` is a name, as `EEXIST`. */
export type Outcome =
  | { readonly status: 'applied' }
  | { readonly status: 'failed'; readonly errno: string; readonly message: string }
  | { readonly status: 'unknown' };

/** The result of an operation that may depend on something else. `deferred`: not sent, because that is not in force. */
export type DeferrableOutcome = Outcome | { readonly status: 'deferred' };

/** The virtual server of an IPVS operation. */
export const operationIdentity = (operation: IpvsOperation): VirtualServerIdentity => {
  if ('of' in operation) return operation.of;
  return operation.kind === 'delete-virtual-server' ? operation.server : operation.server.identity;
};

/** Its key, which is built only where the operation does not hold it. */
export const operationKey = (operation: IpvsOperation): VirtualServerKey =>
  'of' in operation || operation.kind === 'delete-virtual-server'
    ? virtualServerKey(operationIdentity(operation))
    : operation.server.key;
