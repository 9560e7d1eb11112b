import { DummyInterface } from '../apply/addresses/dummy-interface.js';
import { withoutDrainRecords } from '../plan/drain/drain-records.js';
import { EngineState } from '../apply/state/engine-state.js';
import { PacketRules } from '../apply/packet-rules/packet-rules.js';
import { Resync } from '../apply/mirror/resync.js';
import { cidrContains, parseCidr, type IpAddress } from '../base/ip.js';
import { silentLogger } from '../base/log.js';
import type { ElementKey, SetElement } from '../nftables/declarations.js';
import type { InstanceNames } from '../model/instance-names.js';
import { virtualServerKey } from '../model/virtual-server.js';
import type { DesiredResponse } from '../admin-api/desired-response.js';
import { diff, union, type DirtyKeys } from '../plan/operations/diff.js';
import { ExcludedByCidr } from '../plan/ownership/excluded-by-cidr.js';
import { nodePlanGroups } from '../plan/output/node-plan.js';
import { phases } from '../plan/operations/phases.js';
import type { OwnershipFacts } from '../plan/ownership/ownership.js';
import { planGroups, type ServiceOwners, type PlanGroup } from '../plan/output/plan-text.js';
import { DesiredFromResponse } from '../admin-api/desired-response.js';
import { ownVirtualServers } from '../daemon/ownership/own-virtual-servers.js';
import { openKernel, type KernelAccess } from '../daemon/kernel/kernel-access.js';
import { tableStates } from '../daemon/kernel/kernel-differences.js';

/** Packet rules of which nothing but the elements is read. */
const readOnlyPacketRules = ({ nftables, packetFamilies }: KernelAccess, table: string): PacketRules =>
  new PacketRules({
    client: nftables,
    table,
    families: packetFamilies,
    declaration: (family) => ({ family, name: table, sets: [], chains: [] }),
    initialElements: () => [],
    onUntrusted: () => {},
    log: silentLogger,
  });

/** Reads the kernel with the code of the daemon's resync. Ours is what the daemon desires, and what its packet rules name. */
const readObservedState = async (
  kernel: KernelAccess,
  { dummy, table }: { readonly dummy: DummyInterface; readonly table: string },
  { isDesired, isExcluded }: Pick<OwnershipFacts, 'isExcluded' | 'isDesired'>,
): Promise<EngineState> => {
  const { ipvs, packetFamilies } = kernel;
  const observed = new EngineState();
  observed.setElements(await readOnlyPacketRules(kernel, table).read());
  const isOurs = ownVirtualServers({
    observed,
    packetFamilies,
    isTakingOver: () => false,
    isDesired,
    adoptForeign: () => false,
    hasNodeAddress: () => false,
    isExcluded,
  });
  const resync = new Resync({
    ipvs,
    state: observed,
    boundVips: () => dummy.boundVips(),
    isOurs: (identity) => isDesired(virtualServerKey(identity)) || isOurs(identity),
    isDesired,
    desiredRealServers: () => undefined,
    log: silentLogger,
    // Half of the state would show differences that do not exist.
    onUnreadable: (_, error) => {
      throw error;
    },
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

const withDesired = (owners: ServiceOwners, desired: DesiredFromResponse): ServiceOwners => ({
  ownerOf: (key) => owners.ownerOf(key),
  virtualServersAt: (address) => owners.virtualServersAt(address),
  virtualServer: (key) => desired.virtualServer(key),
});

/** Compares the kernel with the desired state of the daemon. Changes nothing. */
export const compareWithDaemon = async (
  response: DesiredResponse,
  names: InstanceNames,
  owners: ServiceOwners,
): Promise<readonly PlanGroup[]> => {
  using kernel = await openKernel(names);
  const desired = new DesiredFromResponse(response);
  const excluded = response.excludeCidrs.flatMap((text) => parseCidr(text) ?? []);
  const isExcluded = (address: IpAddress): boolean => excluded.some((cidr) => cidrContains(cidr, address));
  const dummy = new DummyInterface(kernel.route, names.dummyInterface, silentLogger);
  const observed = await readObservedState(
    kernel,
    { dummy, table: names.table },
    {
      isExcluded,
      isDesired: (key) => desired.virtualServer(key) !== undefined,
    },
  );
  const view = new ExcludedByCidr({ desired, observed, isExcluded });
  const keys = withSupportedElements(
    withoutDrainRecords(union(desired.keys(), observed.keys())),
    kernel,
    (key) => desired.element(key) ?? observed.element(key),
  );
  const operations = diff(view, observed, keys, desired.drainSettings);
  return [
    ...nodePlanGroups({
      names,
      hasDummyInterface: (await dummy.find()) !== undefined,
      tables: await tableStates(
        { table: names.table, families: kernel.packetFamilies },
        kernel.nftables,
        (family) => response.packetTables[family],
      ),
      settings: response.kernelSettings,
    }),
    ...planGroups(phases(operations), withDesired(owners, desired), observed),
  ];
};
