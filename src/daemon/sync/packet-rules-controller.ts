import type { EngineState } from '../../apply/state/engine-state.js';
import type { PacketRules } from '../../apply/packet-rules/packet-rules.js';
import { Backoff } from '../../base/async.js';
import type { Logger } from '../../base/log.js';
import type { Wakeups } from './wakeups.js';
import type { ElementKey } from '../../nftables/declarations.js';
import type { DirtyKeys, DesiredView } from '../../plan/operations/diff.js';
import { RepairBackoff } from './repair-backoff.js';
import type { SyncRetryDelays } from './failure-state.js';

export type ManagedRules = Pick<
  PacketRules,
  'declare' | 'invalidate' | 'invalidateIfChanged' | 'read' | 'inForce'
>;

export interface PacketRulesControllerParts {
  readonly packetRules: ManagedRules;
  readonly observed: Pick<EngineState, 'setElements' | 'element'>;
  readonly wakeups: Pick<Wakeups<PacketRulesWakeup>, 'schedule' | 'isScheduled'>;
  readonly delays: SyncRetryDelays;
  readonly log: Logger;
}

/** `packet-rules-declare`: declare refused rules again; `packet-rules-repair`: check rules that another program changed. */
export type PacketRulesWakeup = 'packet-rules-declare' | 'packet-rules-repair';

/** Keeps the packet rules declared and their elements known. A family whose rules the kernel refuses does not hold up the other. */
export class PacketRulesController {
  readonly #backoff: Backoff;
  readonly #repairBackoff: RepairBackoff;

  constructor(private readonly parts: PacketRulesControllerParts) {
    this.#backoff = new Backoff(parts.delays);
    this.#repairBackoff = new RepairBackoff(parts.log);
  }

  /** Returns false if the kernel refused the rules of a family; they are declared again after a delay that grows. */
  async declare(): Promise<boolean> {
    if (await this.parts.packetRules.declare()) {
      this.#backoff.reset();
      return true;
    }
    this.#scheduleDeclare();
    return false;
  }

  #scheduleDeclare(): void {
    const { wakeups } = this.parts;
    if (!wakeups.isScheduled('packet-rules-declare'))
      wakeups.schedule('packet-rules-declare', this.#backoff.next());
  }

  /** Drops the elements of families whose rules are not in force. */
  withElementsInForce(dirtyKeys: DirtyKeys, desired: Pick<DesiredView, 'element'>): DirtyKeys {
    const { packetRules, observed } = this.parts;
    const elements = [...dirtyKeys.elements].filter((key) => {
      const element = desired.element(key) ?? observed.element(key);
      return element !== undefined && packetRules.inForce.includes(element.family);
    });
    return { ...dirtyKeys, elements: new Set(elements) };
  }

  /** Another program changed our tables: they are repaired once for many events. */
  scheduleRepair(): void {
    const { wakeups } = this.parts;
    if (!wakeups.isScheduled('packet-rules-repair'))
      wakeups.schedule('packet-rules-repair', this.#repairBackoff.next());
  }

  /** Declares the tables after comparing them with the kernel, unless no program has changed nftables since the last comparison. */
  async redeclare(): Promise<boolean> {
    await this.parts.packetRules.invalidateIfChanged();
    return this.declare();
  }

  /** Redeclares the tables and reads their elements. Returns the elements that differ from the observed state. */
  async declareAndRead(): Promise<ReadonlySet<ElementKey>> {
    await this.redeclare();
    return this.read();
  }

  /** Returns the elements that differ from the observed state. */
  async read(): Promise<ReadonlySet<ElementKey>> {
    const { packetRules, observed } = this.parts;
    const before = packetRules.inForce;
    const elements = await packetRules.read(before);
    const { inForce } = packetRules;
    if (inForce.length < before.length) this.#scheduleDeclare();
    return observed.setElements(elements, inForce);
  }
}
