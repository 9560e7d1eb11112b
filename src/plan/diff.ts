import type { IpAddress } from '../base/ip.js';
import type { ElementKey, SetElement } from '../model/nftables.js';
import type { AddressOperation, ElementOperation, IpvsOperation, Operation } from '../model/operation.js';
import {
  sameRealServer,
  sameVirtualServer,
  type RealServer,
  type VirtualServerIdentity,
  type VirtualServerKey,
  type VirtualServerTable,
  type WantedTable,
} from '../model/virtual-server.js';
import { defaultDrainSettings, drains, whileDraining, type DrainSettings } from './drain.js';

/** What this node should hold. */
export interface Wanted {
  virtualServer(key: VirtualServerKey): WantedTable | undefined;
  wantsAddress(address: IpAddress): boolean;
  element(key: ElementKey): SetElement | undefined;
}

/** What the kernel acknowledged to hold, or was read from it. */
export interface Observed {
  virtualServer(key: VirtualServerKey): VirtualServerTable | undefined;
  /** Whether kube-ipvs0 has the address. */
  hasAddress(address: IpAddress): boolean;
  element(key: ElementKey): SetElement | undefined;
}

/** The keys that may differ: only these are looked at. */
export interface Touched {
  readonly virtualServers: ReadonlySet<VirtualServerKey>;
  readonly addresses: ReadonlySet<IpAddress>;
  readonly elements: ReadonlySet<ElementKey>;
}

/** What is left out is empty. */
export const touch = (parts: Partial<Touched> = {}): Touched => ({
  virtualServers: parts.virtualServers ?? new Set(),
  addresses: parts.addresses ?? new Set(),
  elements: parts.elements ?? new Set(),
});

/** What either touches. */
export const union = (a: Touched, b: Touched): Touched => ({
  virtualServers: new Set([...a.virtualServers, ...b.virtualServers]),
  addresses: new Set([...a.addresses, ...b.addresses]),
  elements: new Set([...a.elements, ...b.elements]),
});

export const isEmpty = ({ virtualServers, addresses, elements }: Touched): boolean =>
  virtualServers.size + addresses.size + elements.size === 0;

/** The keys that are not among these. */
export const without = (touched: Touched, names: ReadonlySet<string>): Touched => {
  if (names.size === 0) return touched;
  return {
    virtualServers: new Set([...touched.virtualServers].filter((key) => !names.has(key))),
    addresses: new Set([...touched.addresses].filter((address) => !names.has(address))),
    elements: new Set([...touched.elements].filter((key) => !names.has(key))),
  };
};

const removeRealServer = (
  of: VirtualServerIdentity,
  server: RealServer,
  canDrain: boolean,
): readonly IpvsOperation[] => {
  if (!canDrain) return [{ kind: 'delete-real-server', of, server }];
  // With weight 0 it is draining already: only `drainStep` ends it.
  if (server.weight === 0) return [];
  return [{ kind: 'update-real-server', of, server: { ...server, weight: 0 } }];
};

const realServerOperations = (
  wanted: VirtualServerTable,
  observed: VirtualServerTable | undefined,
  canDrain: boolean,
): readonly IpvsOperation[] => {
  const of = wanted.server.identity;
  const operations: IpvsOperation[] = [];
  for (const [key, server] of wanted.realServers) {
    const present = observed?.realServers.get(key);
    if (present === undefined) operations.push({ kind: 'add-real-server', of, server });
    else if (!sameRealServer(server, present)) operations.push({ kind: 'update-real-server', of, server });
  }
  for (const [key, server] of observed?.realServers ?? [])
    if (!wanted.realServers.has(key)) operations.push(...removeRealServer(of, server, canDrain));
  return operations;
};

const holdsUnwanted = (wanted: VirtualServerTable, observed: VirtualServerTable): boolean => {
  for (const key of observed.realServers.keys()) if (!wanted.realServers.has(key)) return true;
  return false;
};

const virtualServerOperations = (
  wanted: WantedTable | undefined,
  observed: VirtualServerTable | undefined,
  settings: DrainSettings,
): readonly IpvsOperation[] => {
  if (wanted === undefined)
    // The kernel lets its real servers go with it.
    return observed === undefined
      ? []
      : [{ kind: 'delete-virtual-server', server: observed.server.identity }];
  const canDrain = drains(wanted, settings);
  const realServers = realServerOperations(wanted, observed, canDrain);
  if (observed === undefined) return [{ kind: 'add-virtual-server', server: wanted.server }, ...realServers];
  const server = canDrain && holdsUnwanted(wanted, observed) ? whileDraining(wanted) : wanted.server;
  if (sameVirtualServer(server, observed.server)) return realServers;
  return [{ kind: 'update-virtual-server', server }, ...realServers];
};

const addressOperations = (
  address: IpAddress,
  wanted: boolean,
  has: boolean,
): readonly AddressOperation[] => {
  if (wanted === has) return [];
  return [{ kind: wanted ? 'bind-address' : 'unbind-address', address }];
};

const elementOperations = (
  wanted: SetElement | undefined,
  observed: SetElement | undefined,
): readonly ElementOperation[] => {
  if (wanted === undefined)
    return observed === undefined ? [] : [{ kind: 'delete-element', element: observed }];
  return observed === undefined ? [{ kind: 'add-element', element: wanted }] : [];
};

/**
 * The operations that make the kernel hold what is wanted, for the touched keys: one final operation an object, none where
 * it is equal, and nothing is deleted to be added again. Real servers that drain get weight 0 instead of being deleted;
 * those that have it stay until `drainStep` says so. Order them with `phases`.
 */
export const diff = (
  wanted: Wanted,
  observed: Observed,
  touched: Touched,
  settings: DrainSettings = defaultDrainSettings,
): readonly Operation[] => {
  const operations: Operation[] = [];
  for (const key of touched.virtualServers)
    operations.push(
      ...virtualServerOperations(wanted.virtualServer(key), observed.virtualServer(key), settings),
    );
  for (const address of touched.addresses)
    operations.push(
      ...addressOperations(address, wanted.wantsAddress(address), observed.hasAddress(address)),
    );
  for (const key of touched.elements)
    operations.push(...elementOperations(wanted.element(key), observed.element(key)));
  return operations;
};
