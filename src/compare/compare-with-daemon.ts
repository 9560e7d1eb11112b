import { DummyInterface } from '../apply/addresses/dummy-interface.js';
import { withoutDrainRecords } from '../apply/drain/drains.js';
import { ObservedState } from '../apply/mirror/observed-state.js';
import { PacketRules } from '../apply/packet-rules/packet-rules.js';
import { Resync } from '../apply/mirror/resync.js';
import { cidrContains, parseCidr, type IpAddress } from '../base/ip.js';
import { silentLogger } from '../base/log.js';
import { tableName, type ElementKey, type SetElement } from '../nftables/declarations.js';
import { virtualServerKey } from '../model/virtual-server.js';
import type { DesiredResponse } from '../admin-api/desired-response.js';
import { diff, union, type DirtyKeys } from '../plan/operations/diff.js';
import { ExcludedByCidr } from '../plan/ownership/excluded-by-cidr.js';
import { nodePlanGroups } from '../plan/output/node-plan.js';
import { phases } from '../plan/operations/phases.js';
import { ownershipOf, type OwnershipFacts } from '../plan/ownership/ownership.js';
import { hasOwnershipMarker } from '../plan/packet-rules/packet-elements.js';
import { planGroups, type ServiceOwners, type PlanGroup } from '../plan/output/plan-text.js';
import { DesiredFromResponse } from '../admin-api/desired-response.js';
import { openKernel, type KernelAccess } from '../daemon/kernel/kernel-access.js';
import { tableStates } from '../daemon/kernel/kernel-differences.js';

type DesiredFacts = Pick<OwnershipFacts, 'isExcluded' | 'isDesired'>;

/** Ownership by the packet rules and the desired state alone: no take-over, no adoption. */
const ownershipFactsFor = (
  observed: ObservedState,
  { packetFamilies }: KernelAccess,
  { isDesired, isExcluded }: DesiredFacts,
): OwnershipFacts => ({
  hasMarker: (identity) => hasOwnershipMarker(identity, (key) => observed.element(key) !== undefined),
  canHaveMarker: (family) => packetFamilies.includes(family),
  isTakingOver: () => false,
  isDesired,
  adoptForeign: () => false,
  hasDummyAddress: (address) => observed.hasAddress(address),
  hasNodeAddress: () => false,
  isExcluded,
});

const readPacketRules = ({ nftables, packetFamilies }: KernelAccess): ReturnType<PacketRules['read']> =>
  new PacketRules({
    client: nftables,
    families: packetFamilies,
    declaration: (family) => ({ family, name: tableName, sets: [], chains: [] }),
    initialElements: () => [],
    onUntrusted: () => {},
    log: silentLogger,
  }).read();

/** Reads the kernel with the code of the daemon's resync. */
const readObservedState = async (
  kernel: KernelAccess,
  dummy: DummyInterface,
  facts: DesiredFacts,
): Promise<ObservedState> => {
  const observed = new ObservedState();
  observed.setElements(await readPacketRules(kernel));
  const { isDesired } = facts;
  const ownership = ownershipFactsFor(observed, kernel, facts);
  const resync = new Resync({
    ipvs: kernel.ipvs,
    observed,
    dummyAddresses: () => dummy.addresses(),
    isOurs: (identity) =>
      isDesired(virtualServerKey(identity)) || ownershipOf(identity, ownership) === 'ours',
    isDesired,
    // An incomplete state would show false differences.
    onUnreadable: (_, error) => {
      throw error;
    },
    foreign: { replace: () => {}, identities: () => [] },
  });
  await resync.begin({ ignoreKnown: true });
  return observed;
};

/** Without the elements of families that have no nftables here. */
const withSupportedElements = (
  dirtyKeys: DirtyKeys,
  { packetFamilies }: KernelAccess,
  elementOf: (key: ElementKey) => SetElement | undefined,
): DirtyKeys => ({
  ...dirtyKeys,
  elements: new Set(
    [...dirtyKeys.elements].filter((key) => {
      const family = elementOf(key)?.family;
      return family !== undefined && packetFamilies.includes(family);
    }),
  ),
});

/** Compares the kernel with the desired state of the daemon. Changes nothing. */
export const compareWithDaemon = async (
  response: DesiredResponse,
  owners: ServiceOwners,
): Promise<readonly PlanGroup[]> => {
  using kernel = await openKernel();
  const desired = new DesiredFromResponse(response);
  const excluded = response.excludeCidrs.flatMap((text) => parseCidr(text) ?? []);
  const isExcluded = (address: IpAddress): boolean => excluded.some((cidr) => cidrContains(cidr, address));
  const dummy = new DummyInterface(kernel.route, silentLogger);
  const observed = await readObservedState(kernel, dummy, {
    isExcluded,
    isDesired: (key) => desired.virtualServer(key) !== undefined,
  });
  const view = new ExcludedByCidr({ desired, observed, isExcluded });
  const keys = withSupportedElements(
    withoutDrainRecords(union(desired.keys(), observed.keys())),
    kernel,
    (key) => desired.element(key) ?? observed.element(key),
  );
  const operations = diff(view, observed, keys, desired.drainSettings);
  return [
    ...nodePlanGroups({
      hasDummyInterface: (await dummy.find()) !== undefined,
      tables: await tableStates(
        kernel.packetFamilies,
        kernel.nftables,
        (family) => response.packetTables[family],
      ),
      settings: response.kernelSettings,
    }),
    ...planGroups(phases(operations), owners, observed),
  ];
};
