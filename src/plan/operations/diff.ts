import type { IpAddress } from '../../base/ip.js';
import type { ElementKey, SetElement } from '../../nftables/declarations.js';
import type { AddressOperation, ElementOperation, IpvsOperation, Operation } from '../../model/operation.js';
import type { VipBindings } from '../../model/settings/vip-binding.js';
import {
  sameRealServer,
  sameVirtualServer,
  type RealServer,
  type VirtualServerIdentity,
  type VirtualServerKey,
  type VirtualServerEntry,
  type DesiredVirtualServer,
} from '../../model/virtual-server.js';
import {
  defaultDrainSettings,
  isDrainable,
  settingsWhileDraining,
  type DrainSettings,
} from '../drain/drain-step.js';

/** The desired state of this node. */
export interface DesiredView {
  virtualServer(key: VirtualServerKey): DesiredVirtualServer | undefined;
  bindings(address: IpAddress): VipBindings;
  element(key: ElementKey): SetElement | undefined;
}

/** The state that the kernel acknowledged or reported. */
export interface ObservedView {
  virtualServer(key: VirtualServerKey): VirtualServerEntry | undefined;
  bindings(address: IpAddress): VipBindings;
  element(key: ElementKey): SetElement | undefined;
}

/** The keys whose state may differ. Only these are compared. */
export interface DirtyKeys {
  readonly virtualServers: ReadonlySet<VirtualServerKey>;
  readonly addresses: ReadonlySet<IpAddress>;
  readonly elements: ReadonlySet<ElementKey>;
}

const none: ReadonlySet<never> = new Set();

/** Omitted parts are empty. */
export const dirtyKeys = (parts: Partial<DirtyKeys> = {}): DirtyKeys => ({
  virtualServers: parts.virtualServers ?? none,
  addresses: parts.addresses ?? none,
  elements: parts.elements ?? none,
});

/** Makes a set only where neither has all: most of a change's sets are empty. */
const unionOf = <Key>(a: ReadonlySet<Key>, b: ReadonlySet<Key>): ReadonlySet<Key> => {
  if (a.size === 0) return b;
  return b.size === 0 ? a : new Set([...a, ...b]);
};

export const union = (a: DirtyKeys, b: DirtyKeys): DirtyKeys => ({
  virtualServers: unionOf(a.virtualServers, b.virtualServers),
  addresses: unionOf(a.addresses, b.addresses),
  elements: unionOf(a.elements, b.elements),
});

/** The number of keys. */
export const sizeOf = ({ virtualServers, addresses, elements }: DirtyKeys): number =>
  virtualServers.size + addresses.size + elements.size;

export const isEmpty = (dirty: DirtyKeys): boolean => sizeOf(dirty) === 0;

/** The keys for which `isLeftOut` returns false; the same set if that is all of them. */
export const keptOf = <Key extends string>(
  keys: ReadonlySet<Key>,
  isLeftOut: (key: Key) => boolean,
): ReadonlySet<Key> => {
  for (const key of keys) if (isLeftOut(key)) return new Set([...keys].filter((each) => !isLeftOut(each)));
  return keys;
};

/** The keys for which `isLeftOut` returns false. */
export const without = (dirty: DirtyKeys, isLeftOut: (key: string) => boolean): DirtyKeys => ({
  virtualServers: keptOf(dirty.virtualServers, isLeftOut),
  addresses: keptOf(dirty.addresses, isLeftOut),
  elements: keptOf(dirty.elements, isLeftOut),
});

const removeRealServer = (
  of: VirtualServerIdentity,
  server: RealServer,
  canDrain: boolean,
): readonly IpvsOperation[] => {
  if (!canDrain) return [{ kind: 'delete-real-server', of, server }];
  // A real server of weight 0 already drains. Only `drainStep` deletes it.
  if (server.weight === 0) return [];
  return [{ kind: 'update-real-server', of, server: { ...server, weight: 0 } }];
};

const realServerOperations = (
  desired: VirtualServerEntry,
  observed: VirtualServerEntry | undefined,
  canDrain: boolean,
): readonly IpvsOperation[] => {
  const of = desired.server.identity;
  const operations: IpvsOperation[] = [];
  for (const server of desired.realServers.values()) {
    const present = observed?.realServers.get(server.key);
    if (present === undefined) operations.push({ kind: 'add-real-server', of, server });
    else if (!sameRealServer(server, present)) operations.push({ kind: 'update-real-server', of, server });
  }
  for (const server of observed?.realServers.values() ?? [])
    if (!desired.realServers.has(server.key)) operations.push(...removeRealServer(of, server, canDrain));
  return operations;
};

const holdsUndesired = (desired: VirtualServerEntry, observed: VirtualServerEntry): boolean => {
  for (const { key } of observed.realServers.values()) if (!desired.realServers.has(key)) return true;
  return false;
};

const virtualServerOperations = (
  desired: DesiredVirtualServer | undefined,
  observed: VirtualServerEntry | undefined,
  settings: DrainSettings,
): readonly IpvsOperation[] => {
  if (desired === undefined)
    // The kernel deletes the real servers together with their virtual server.
    return observed === undefined
      ? []
      : [{ kind: 'delete-virtual-server', server: observed.server.identity }];
  const canDrain = isDrainable(desired, settings);
  const realServers = realServerOperations(desired, observed, canDrain);
  if (observed === undefined) return [{ kind: 'add-virtual-server', server: desired.server }, ...realServers];
  const server =
    canDrain && holdsUndesired(desired, observed) ? settingsWhileDraining(desired) : desired.server;
  if (sameVirtualServer(server, observed.server)) return realServers;
  return [{ kind: 'update-virtual-server', server }, ...realServers];
};

const addressOperations = (
  address: IpAddress,
  desired: VipBindings,
  observed: VipBindings,
): readonly AddressOperation[] => {
  if (desired === observed) return [];
  const [replacedBy] = desired;
  const replacement = replacedBy === undefined ? {} : { replacedBy };
  return [
    ...desired
      .filter((binding) => !observed.includes(binding))
      .map((binding) => ({ kind: 'bind-address', address, binding }) as const),
    ...observed
      .filter((binding) => !desired.includes(binding))
      .map((binding) => ({ kind: 'unbind-address', address, binding, ...replacement }) as const),
  ];
};

const elementOperations = (
  desired: SetElement | undefined,
  observed: SetElement | undefined,
): readonly ElementOperation[] => {
  if (desired === undefined)
    return observed === undefined ? [] : [{ kind: 'delete-element', element: observed }];
  return observed === undefined ? [{ kind: 'add-element', element: desired }] : [];
};

/**
 * The operations that make the kernel match the desired state of the dirty keys: at most one per object, none
 * for an equal object, and no deletion followed by an addition. Real servers that may drain get weight 0
 * instead, and `drainStep` deletes them. Order the result with `phases`.
 */
export const diff = (
  desired: DesiredView,
  observed: ObservedView,
  dirty: DirtyKeys,
  settings: DrainSettings = defaultDrainSettings,
): readonly Operation[] => {
  const operations: Operation[] = [];
  for (const key of dirty.virtualServers)
    operations.push(
      ...virtualServerOperations(desired.virtualServer(key), observed.virtualServer(key), settings),
    );
  for (const address of dirty.addresses)
    operations.push(...addressOperations(address, desired.bindings(address), observed.bindings(address)));
  for (const key of dirty.elements)
    operations.push(...elementOperations(desired.element(key), observed.element(key)));
  return operations;
};
