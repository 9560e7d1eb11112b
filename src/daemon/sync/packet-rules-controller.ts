import type { EngineState } from '../../apply/state/engine-state.js';
import type { PacketRules } from '../../apply/packet-rules/packet-rules.js';
import { Backoff } from '../../base/async.js';
import type { Logger } from '../../base/log.js';
import type { ElementKey } from '../../nftables/declarations.js';
import type { DirtyKeys, DesiredView } from '../../plan/operations/diff.js';
import type { NamedTimers } from '../../base/named-timers.js';
import { RepairBackoff } from './repair-backoff.js';
import type { SyncRetryDelays } from './failure-state.js';

export interface PacketRulesControllerParts {
  readonly packetRules: Pick<PacketRules, 'declare' | 'invalidate' | 'read' | 'inForce'>;
  readonly observed: Pick<EngineState, 'setElements' | 'element'>;
  readonly timers: NamedTimers;
  readonly delays: SyncRetryDelays;
  readonly log: Logger;
  /** Runs work on the kernel when it is its turn. */
  readonly enqueue: (work: () => Promise<void>) => Promise<void>;
}

/** Keeps the packet rules declared and their elements known; a family whose rules are refused has no part in the rest. */
export class PacketRulesController {
  readonly #backoff: Backoff;
  readonly #repairBackoff: RepairBackoff;

  constructor(private readonly parts: PacketRulesControllerParts) {
    this.#backoff = new Backoff(parts.delays);
    this.#repairBackoff = new RepairBackoff(parts.log);
  }

  /** False where the kernel refuses any: they are tried again alone, with growing delays. */
  async declare(): Promise<boolean> {
    if (await this.parts.packetRules.declare()) {
      this.#backoff.reset();
      return true;
    }
    this.#scheduleDeclare();
    return false;
  }

  #scheduleDeclare(): void {
    const { timers, enqueue } = this.parts;
    if (!timers.has('refused packet rules'))
      timers.after('refused packet rules', this.#backoff.next(), () => {
        void enqueue(async () => void (await this.declare()));
      });
  }

  /** Without the elements of families that have no rules. */
  withElementsInForce(dirtyKeys: DirtyKeys, desired: Pick<DesiredView, 'element'>): DirtyKeys {
    const { packetRules, observed } = this.parts;
    const elements = [...dirtyKeys.elements].filter((key) => {
      const element = desired.element(key) ?? observed.element(key);
      return element !== undefined && packetRules.inForce.includes(element.family);
    });
    return { ...dirtyKeys, elements: new Set(elements) };
  }

  /** Somebody changed our tables: `repair` is to be done, once for many events. */
  scheduleRepair(repair: () => Promise<void>): void {
    const { timers, enqueue } = this.parts;
    if (timers.has('packet rules')) return;
    timers.after('packet rules', this.#repairBackoff.next(), () => void enqueue(repair));
  }

  /** Makes the tables as they should be and reads their elements; gives those that are not as they were known. */
  async declareAndRead(): Promise<ReadonlySet<ElementKey>> {
    this.parts.packetRules.invalidate();
    await this.declare();
    return this.read();
  }

  /** Reads the elements; gives those that are not as they were known. */
  async read(): Promise<ReadonlySet<ElementKey>> {
    const { packetRules, observed } = this.parts;
    const before = packetRules.inForce;
    const elements = await packetRules.read(before);
    const { inForce } = packetRules;
    if (inForce.length < before.length) this.#scheduleDeclare();
    return observed.setElements(elements, inForce);
  }
}
