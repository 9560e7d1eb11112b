import type { Observed } from '../apply/observed.js';
import type { PacketRules } from '../apply/packet-rules.js';
import { Backoff } from '../base/async.js';
import type { Logger } from '../base/log.js';
import type { ElementKey } from '../model/nftables.js';
import type { Touched, Wanted } from '../plan/diff.js';
import type { NamedTimers } from './named-timers.js';
import { RepairPause } from './repair-pause.js';
import type { TroubleDelays } from './trouble.js';

export interface RulesCareParts {
  readonly packetRules: Pick<PacketRules, 'declare' | 'forget' | 'read' | 'inForce'>;
  readonly observed: Pick<Observed, 'setElements' | 'element'>;
  readonly timers: NamedTimers;
  readonly delays: TroubleDelays;
  readonly log: Logger;
  /** Runs work on the kernel when it is its turn. */
  readonly enqueue: (work: () => Promise<void>) => Promise<void>;
}

/** Keeps the packet rules declared and their elements known; a family whose rules are refused has no part in the rest. */
export class RulesCare {
  readonly #backoff: Backoff;
  readonly #pause: RepairPause;

  constructor(private readonly parts: RulesCareParts) {
    this.#backoff = new Backoff(parts.delays);
    this.#pause = new RepairPause(parts.log);
  }

  /** False where the kernel refuses any: they are tried again alone, with growing delays. */
  async declare(): Promise<boolean> {
    if (await this.parts.packetRules.declare()) {
      this.#backoff.reset();
      return true;
    }
    this.#declareLater();
    return false;
  }

  #declareLater(): void {
    const { timers, enqueue } = this.parts;
    if (!timers.has('refused packet rules'))
      timers.after('refused packet rules', this.#backoff.next(), () => {
        void enqueue(async () => void (await this.declare()));
      });
  }

  /** Without the elements of families that have no rules. */
  inForce(touched: Touched, desired: Pick<Wanted, 'element'>): Touched {
    const { packetRules, observed } = this.parts;
    const elements = [...touched.elements].filter((key) => {
      const element = desired.element(key) ?? observed.element(key);
      return element !== undefined && packetRules.inForce.includes(element.family);
    });
    return { ...touched, elements: new Set(elements) };
  }

  /** Somebody changed our tables: `repair` is to be done, once for many events. */
  changed(repair: () => Promise<void>): void {
    const { timers, enqueue } = this.parts;
    if (timers.has('packet rules')) return;
    timers.after('packet rules', this.#pause.next(), () => void enqueue(repair));
  }

  /** Makes the tables as they should be and reads their elements; gives those that are not as they were known. */
  async readAnew(): Promise<ReadonlySet<ElementKey>> {
    this.parts.packetRules.forget();
    await this.declare();
    return this.read();
  }

  /** Reads the elements; gives those that are not as they were known. */
  async read(): Promise<ReadonlySet<ElementKey>> {
    const { packetRules, observed } = this.parts;
    const before = packetRules.inForce;
    const elements = await packetRules.read(before);
    const { inForce } = packetRules;
    if (inForce.length < before.length) this.#declareLater();
    return observed.setElements(elements, inForce);
  }
}
