import { DummyInterfaceError, type DummyInterface } from '../../apply/addresses/dummy-interface.js';
import type { DriftCounters } from '../../apply/counters/drift-counters.js';
import type { EngineState } from '../../apply/state/engine-state.js';
import type { Resync, RoundOptions } from '../../apply/mirror/resync.js';
import type { TakeOver } from '../../apply/ownership/take-over.js';
import type { ReconcileReport } from '../../apply/phase-runner.js';
import type { Reconciler } from '../../apply/reconciler.js';
import type { StaleFlows } from '../../apply/conntrack/stale-flows.js';
import { families, type IpAddress } from '../../base/ip.js';
import { firstOf } from '../../base/log-sampled.js';
import type { Logger } from '../../base/log.js';
import type { RunCause } from '../../model/change-cause.js';
import type { BoundVips, VipBindings } from '../../model/settings/vip-binding.js';
import type { OrphanedVirtualServers } from '../../plan/drain/orphaned-virtual-servers.js';
import { isEmpty, dirtyKeys, union, type DirtyKeys } from '../../plan/operations/diff.js';
import type { Phase } from '../../plan/operations/phases.js';
import type { ChangeCauses } from '../history/change-causes.js';
import type { KernelUpkeep } from '../kernel/kernel-upkeep.js';
import type { DesiredStateUpdater } from './desired-state-updater.js';
import type { PacketRulesController } from './packet-rules-controller.js';

/** How many virtual servers one slice of a resync reads. */
export const resyncSliceSize = 100;

export interface KernelSyncParts {
  readonly desiredStateUpdater: DesiredStateUpdater;
  readonly observed: EngineState;
  /** What Services ask for, with the virtual servers that stay for their open connections. */
  readonly orphaned: OrphanedVirtualServers;
  readonly reconciler: Reconciler;
  readonly resync: Resync;
  readonly dummy: Pick<DummyInterface, 'ensure'>;
  readonly takeOver: Pick<TakeOver, 'isInProgress' | 'end'>;
  readonly causes?: Pick<ChangeCauses, 'drifted'> | undefined;
  readonly staleFlows: Pick<StaleFlows, 'clean'>;
  /** How the VIP should be bound. */
  readonly desiredBindings: (address: IpAddress) => VipBindings;
  readonly upkeep: KernelUpkeep;
  /** Reads all links, addresses and gateways, and the bindings of VIPs. */
  readonly readAddresses: () => Promise<AddressReading>;
  readonly drift: DriftCounters;
  readonly log: Logger;
}

export interface AddressReading {
  /** Whether the node's own addresses or gateways changed. */
  readonly isNodeChanged: boolean;
  readonly boundVips: BoundVips;
}

/** The steps of a sync. The sync loop decides when to take which; one at a time. */
export class KernelSync {
  readonly #dirtyAddresses = new Set<IpAddress>();
  #hasProgrammed = false;

  constructor(
    private readonly parts: KernelSyncParts,
    private readonly packetRules: PacketRulesController,
  ) {}

  addDirtyAddresses(addresses: Iterable<IpAddress>): void {
    for (const address of addresses) this.#dirtyAddresses.add(address);
  }

  /** Programs what changed; with `adopt` it first reads the whole kernel. `onBegin` runs before the changes are collected. */
  async program({ adopt, onBegin }: { adopt: boolean; onBegin: () => void }): Promise<ReconcileReport> {
    const { desiredStateUpdater, reconciler, takeOver } = this.parts;
    if (adopt) await this.parts.upkeep.ensureIpvs();
    await this.#ensureDummy();
    onBegin();
    const changed = await desiredStateUpdater.updateIncrementally();
    const drifted = this.#takeDriftedAddresses(changed);
    const failedDeclarations = (await this.packetRules.declare()) ? 0 : 1;
    this.parts.causes?.drifted(drifted);
    const cause = adopt ? this.#adoptionCause() : 'changes';
    const dirty = { ...changed, addresses: new Set([...changed.addresses, ...drifted]) };
    const report = await reconciler.reconcile(adopt ? await this.#readKernel(dirty) : dirty, cause);
    if (!reconciler.isStopped) await takeOver.end();
    this.#hasProgrammed = true;
    this.#countRepaired(drifted);
    await this.parts.upkeep.connectionSync.checkIfDue();
    return { ...report, failed: report.failed + failedDeclarations };
  }

  #adoptionCause(): RunCause {
    if (families.some((family) => this.parts.takeOver.isInProgress(family))) return 'take-over';
    return this.#hasProgrammed ? 'reread' : 'start';
  }

  /** Returns what the first sync would do. Reads the kernel, changes nothing. */
  async plan(): Promise<readonly Phase[]> {
    const { desiredStateUpdater, orphaned, reconciler } = this.parts;
    const dirty = await reconciler.examine(await this.#readKernel(desiredStateUpdater.update()));
    return reconciler.plan(this.packetRules.withElementsInForce(dirty, orphaned));
  }

  /** Reads the whole kernel into the observed state. An object that is there and desired stays untouched. */
  async #readKernel(changed: DirtyKeys): Promise<DirtyKeys> {
    const { resync, observed, orphaned, desiredStateUpdater } = this.parts;
    await this.packetRules.read();
    await resync.begin({ ignoreKnown: true });
    return union(union(changed, desiredStateUpdater.desired.keys()), union(orphaned.keys(), observed.keys()));
  }

  /** Without the interface the IPVS table is still programmed; each address reports the reason, and is retried. */
  async #ensureDummy(): Promise<void> {
    try {
      await this.parts.dummy.ensure();
    } catch (error) {
      if (!(error instanceof DummyInterfaceError)) throw error;
    }
  }

  /**
   * Checks the node, its addresses, the bindings of VIPs and the packet rules, and begins a round of the resync. Returns what differs;
   * slices may find more.
   */
  async beginResync(options: RoundOptions, onNodeChanged: () => void): Promise<DirtyKeys> {
    const { upkeep, observed, resync } = this.parts;
    upkeep.checkKernelSettings();
    await upkeep.connectionSync.check();
    await this.#ensureDummy();
    const { isNodeChanged, boundVips } = await this.parts.readAddresses();
    if (isNodeChanged) onNodeChanged();
    const addresses = observed.setAddresses(boundVips);
    await this.packetRules.redeclare();
    return union(dirtyKeys({ addresses }), await resync.begin({ ...options, omitAddresses: true }));
  }

  /** Retries what was given up: flows that could not be deleted, and operations that waiting does not help. */
  async retryGivenUp(): Promise<void> {
    await this.parts.staleFlows.clean([]);
    this.parts.reconciler.retryGivenUp();
  }

  /** Records the bindings of VIPs that a read found, and notes those that differ. */
  recordBoundVips(boundVips: BoundVips): void {
    this.addDirtyAddresses(this.parts.observed.setAddresses(boundVips));
  }

  /** Returns what differs in the next virtual servers of the resync. */
  resyncSlice(): Promise<DirtyKeys> {
    return this.parts.resync.step(resyncSliceSize);
  }

  /** Declares the packet rules, reads them, and returns what differs. */
  async checkPacketRules(): Promise<DirtyKeys> {
    const { resync } = this.parts;
    const elements = await this.packetRules.declareAndRead();
    // Ownership markers that could not be read before: without a new round their virtual servers would count as foreign, and
    // the markers would be deleted.
    const adopted = resync.hasMisclassified ? await resync.begin() : dirtyKeys();
    return union(adopted, dirtyKeys({ elements }));
  }

  /** Repairs what another program changed; undefined if there is nothing to repair. */
  async repair(drifted: DirtyKeys): Promise<ReconcileReport | undefined> {
    if (isEmpty(drifted)) return undefined;
    const { drift, reconciler, log } = this.parts;
    log.warn(
      {
        event: 'kernel-drifted',
        virtualServers: firstOf(drifted.virtualServers),
        addresses: firstOf(drifted.addresses),
        packetRules: firstOf(drifted.elements),
      },
      'Kernel state changed by another program; repairing',
    );
    return drift.countDuring(() => reconciler.reconcile(drifted, 'drift'));
  }

  #differs(address: IpAddress): boolean {
    return this.parts.desiredBindings(address) !== this.parts.observed.bindings(address);
  }

  /** VIPs that another program bound or unbound, and that no Service changed. */
  #takeDriftedAddresses(changed: DirtyKeys): readonly IpAddress[] {
    const drifted = [...this.#dirtyAddresses].filter(
      (address) => !changed.addresses.has(address) && this.#differs(address),
    );
    this.#dirtyAddresses.clear();
    return drifted;
  }

  #countRepaired(drifted: readonly IpAddress[]): void {
    for (const address of drifted.filter((each) => !this.#differs(each)))
      this.parts.drift.count('address', this.parts.desiredBindings(address).length > 0 ? 'missing' : 'extra');
  }
}
