import { isExpectedError, messageOf } from '../../base/errors.js';
import { families, type Family } from '../../base/ip.js';
import type { Logger } from '../../base/log.js';
import type { SetDeclaration, SetElement, TableDeclaration } from '../../nftables/declarations.js';
import type { DeferrableOutcome, ElementOperation, Outcome } from '../../model/operation.js';
import type { TransactionOutcome } from '../../kernel/nftables/transaction-outcome.js';
import type { NftablesChange } from '../../kernel/nftables/changes.js';
import { elementChanges, type TableId } from './element-changes.js';
import { OptionalRules, type OptionalRuleSettings } from './optional-rules.js';
import type { PacketRulesClient } from './packet-rules-client.js';
import { PacketRulesError } from './packet-rules-error.js';
import { PacketRulesLog } from './packet-rules-log.js';
import { isReadError } from '../mirror/kernel-reader.js';
import { canUpdateInPlace, sameSet, cachedTableText } from './table-comparison.js';
import { isOwnershipMarkerSet, setDeclaration, takeOverSet } from '../../plan/packet-rules/packet-sets.js';

export interface PacketRulesParts {
  readonly client: PacketRulesClient;
  /** The name of the table of each family. */
  readonly table: string;
  /** The families that the kernel supports. */
  readonly families: readonly Family[];
  /** The desired rules of a family, with these optional ones. */
  readonly declaration: (family: Family, optional: OptionalRuleSettings) => TableDeclaration;
  /** The elements that a new table contains from the start. */
  readonly initialElements: (family: Family) => Iterable<SetElement>;
  /** Called when the tables differ from the known state, so their elements must be read again. */
  readonly onUntrusted: () => void;
  /** Called for each rejected transaction, each declaration, and each repair of foreign changes; must not throw. */
  readonly onEvent?: (what: 'refused' | 'declared' | 'mended', family: Family) => void;
  readonly log: Logger;
}

const applied: Outcome = { status: 'applied' };
const unknown: Outcome = { status: 'unknown' };
const deferred: DeferrableOutcome = { status: 'deferred' };

const isOurs = (set: SetDeclaration): boolean => {
  const declared = setDeclaration(set.name);
  return declared !== undefined && sameSet(set, declared);
};

/** Whether the errno shows that the known elements are wrong, so they must be read again. */
const isStaleView = (errno: string): boolean => errno === 'ENOENT' || errno === 'EEXIST';

/**
 * Manages the nftables tables of kube-ipvs: declares rules that differ from the desired ones, and otherwise
 * changes only elements. Replaces an outdated or altered table in one transaction, elements included, so
 * packets never meet half a table.
 */
export class PacketRules {
  /** The texts of the tables that the kernel is known to have. */
  readonly #declared = new Map<Family, string>();
  /** Why the rules of a family could not be declared. */
  readonly #failures = new Map<Family, string>();
  /** The failed families whose elements could not be read. */
  readonly #unreadable = new Set<Family>();
  /** Families whose rules were declared, or found unchanged, at least once. */
  readonly #declaredBefore = new Set<Family>();
  /** Families that had a table at the last check. */
  readonly #present = new Set<Family>();
  /** The generation of nftables before the tables were last compared with it. */
  #generation: number | undefined;
  readonly #optional = new OptionalRules();

  readonly #log: PacketRulesLog;

  constructor(private readonly parts: PacketRulesParts) {
    this.#log = new PacketRulesLog(parts.log, parts.table);
  }

  /** Whether the kernel has a table for the family, and whether it has a take-over marker. */
  async state(family: Family): Promise<'none' | 'taking-over' | 'ours'> {
    if (!this.parts.families.includes(family)) return 'none';
    const present = await this.parts.client.table(family, this.parts.table);
    if (present === undefined) return 'none';
    const mark = present.sets.find((set) => set.name === takeOverSet && isOurs(set));
    if (mark === undefined) return 'ours';
    const marks = await this.parts.client.elements(family, this.parts.table, mark);
    return marks.length > 0 ? 'taking-over' : 'ours';
  }

  /** Whether the last attempt to declare the rules of the family failed. */
  hasFailed(family: Family): boolean {
    return this.#failures.has(family);
  }

  /** The error of the last attempt to declare the rules of the family. */
  lastErrorOf(family: Family): string | undefined {
    return this.#failures.get(family);
  }

  /** The families whose rules did not fail at the last attempt. */
  get inForce(): readonly Family[] {
    return this.parts.families.filter((family) => !this.#failures.has(family));
  }

  /** Declares rules that may differ. Returns false if any family failed; its elements are then deferred. */
  async declare(): Promise<boolean> {
    for (const family of this.parts.families) {
      try {
        await this.#declare(family);
        if (this.#unreadable.has(family)) await this.#elements(family);
        this.#clearFailure(family);
      } catch (error) {
        if (!isExpectedError(error)) throw error;
        this.#recordFailure(family, messageOf(error));
      }
    }
    return this.#failures.size === 0;
  }

  /** The desired text of the family's table, including the source range sets of `present`. */
  desiredText(family: Family, present?: TableDeclaration): string {
    for (const set of present?.sets ?? []) this.#optional.recordSet(family, set.name);
    return cachedTableText(this.#desiredTable(family));
  }

  /** Discards what is known of the tables: the next `declare` reads the kernel. */
  invalidate(): void {
    this.#declared.clear();
  }

  /** The same if any program has changed nftables since the last call, or if that cannot be told. */
  async invalidateIfChanged(): Promise<void> {
    if (this.parts.families.length === 0) return;
    const before = this.#generation;
    try {
      this.#generation = await this.parts.client.generation();
    } catch (error) {
      if (!isReadError(error)) throw error;
      this.#generation = undefined;
    }
    if (this.#generation === undefined || this.#generation !== before) this.invalidate();
  }

  /**
   * Reads all elements of the families in known sets, except take-over markers; for a missing table, returns
   * its initial elements. A family whose elements cannot be read is recorded as failed and does not affect
   * the other families.
   */
  async read(of: readonly Family[] = this.parts.families): Promise<readonly SetElement[]> {
    const elements: SetElement[] = [];
    for (const family of of) {
      try {
        for (const element of await this.#elements(family))
          if (element.set !== takeOverSet) elements.push(element);
      } catch (error) {
        if (!isReadError(error)) throw error;
        this.#declared.delete(family);
        this.#unreadable.add(family);
        this.#recordFailure(family, messageOf(error));
      }
    }
    return elements;
  }

  /** A declared table is known and not read again. */
  async #elements(family: Family): Promise<readonly SetElement[]> {
    const desired = this.#desiredTable(family);
    const isKnown = this.#declared.get(family) === cachedTableText(desired);
    const present = isKnown ? desired : await this.#readTable(family);
    return present === undefined ? [...this.parts.initialElements(family)] : this.#readElements(present);
  }

  async #readTable(family: Family): Promise<TableDeclaration | undefined> {
    const present = await this.parts.client.table(family, this.parts.table);
    if (present === undefined) this.#present.delete(family);
    else this.#present.add(family);
    for (const set of present?.sets ?? []) this.#optional.recordSet(family, set.name);
    return present;
  }

  #idOf(family: Family): TableId {
    return { family, name: this.parts.table };
  }

  #desiredTable(family: Family): TableDeclaration {
    return this.parts.declaration(family, this.#optional.of(family));
  }

  /** Returns one outcome per operation, in order. A rejected element does not block the others. */
  async apply(operations: readonly ElementOperation[]): Promise<readonly DeferrableOutcome[]> {
    const outcomes = new Map<ElementOperation, DeferrableOutcome>();
    for (const family of families) {
      const ofFamily = operations.filter(({ element }) => element.family === family);
      if (ofFamily.length === 0) continue;
      if (this.inForce.includes(family)) await this.#apply(family, ofFamily, outcomes);
      else await this.#defer(family, ofFamily, outcomes);
    }
    return operations.map((operation) => outcomes.get(operation) ?? unknown);
  }

  /**
   * While the rules of a family are not in force, only ownership markers are sent. An existing table accepts
   * them, and the next process needs them to recognize its virtual servers.
   */
  async #defer(
    family: Family,
    operations: readonly ElementOperation[],
    outcomes: Map<ElementOperation, DeferrableOutcome>,
  ): Promise<void> {
    for (const operation of operations) outcomes.set(operation, deferred);
    if (!this.#present.has(family)) return;
    const markers = operations.filter(
      ({ kind, element }) => kind === 'add-element' && isOwnershipMarkerSet(element.set),
    );
    if (markers.length === 0) return;
    const elements = markers.map(({ element }) => element);
    const { status } = await this.parts.client.transaction(
      elementChanges('add-elements', this.#idOf(family), elements),
    );
    if (status === 'applied') for (const operation of markers) outcomes.set(operation, applied);
  }

  #recordFailure(family: Family, problem: string): void {
    if (this.#failures.get(family) !== problem)
      this.#log[this.#unreadable.has(family) ? 'unreadable' : 'notInForce'](family, problem);
    this.#failures.set(family, problem);
  }

  #clearFailure(family: Family): void {
    if (!this.#failures.delete(family)) return;
    this.#unreadable.delete(family);
    this.#log.inForce(family);
    this.parts.onUntrusted();
  }

  async #declare(family: Family): Promise<boolean> {
    const known = this.#declared.get(family);
    const present = known === undefined ? await this.#readTable(family) : undefined;
    const desired = this.#desiredTable(family);
    const text = cachedTableText(desired);
    if (text === (known ?? (present === undefined ? undefined : cachedTableText(present)))) {
      this.#declared.set(family, text);
      this.#declaredBefore.add(family);
      return false;
    }
    await this.#replaceTable(desired, present);
    this.#logDeclared(family, known !== undefined);
    this.#declared.set(family, text);
    return true;
  }

  #logDeclared(family: Family, becauseOfUs: boolean): void {
    const cause = becauseOfUs ? 'changed' : this.#declaredBefore.has(family) ? 'repaired' : 'first';
    this.#log.declared(family, cause);
    this.parts.onEvent?.(cause === 'repaired' ? 'mended' : 'declared', family);
    this.#declaredBefore.add(family);
  }

  async #replaceTable(desired: TableDeclaration, present: TableDeclaration | undefined): Promise<void> {
    const { family } = desired;
    const declare: NftablesChange = { kind: 'declare-table', declaration: desired };
    const changes =
      present === undefined
        ? [declare, ...elementChanges('add-elements', desired, this.parts.initialElements(family))]
        : canUpdateInPlace(present, desired)
          ? [declare]
          : [
              { kind: 'delete-table', family, name: this.parts.table } as const,
              declare,
              ...elementChanges('add-elements', desired, await this.#readElements(present)),
            ];
    const outcome = await this.#transact(family, changes);
    if (outcome.status === 'applied') return;
    this.#declared.delete(family);
    const { errno, message } =
      outcome.status === 'failed' ? outcome : { errno: '', message: 'the kernel did not reply' };
    throw new PacketRulesError(`cannot declare the packet rules for ${family}: ${message}`, errno);
  }

  async #readElements(present: TableDeclaration): Promise<readonly SetElement[]> {
    const elements: SetElement[] = [];
    for (const set of present.sets) {
      if (!isOurs(set)) continue;
      const found = await this.parts.client.elements(present.family, present.name, set);
      for (const element of found) elements.push(element);
    }
    return elements;
  }

  async #apply(
    family: Family,
    operations: readonly ElementOperation[],
    outcomes: Map<ElementOperation, DeferrableOutcome>,
  ): Promise<void> {
    let [sent, outcome] = [operations, await this.#send(family, operations)];
    if (outcome.status !== 'applied') {
      const found = await this.#repair(family);
      if (found !== 'right' || outcome.status === 'unknown' || isStaleView(outcome.errno)) {
        this.parts.onUntrusted();
        // Elements to delete may already be gone. Additions can be repeated, and they include ownership
        // markers that the next process needs.
        sent = operations.filter(({ kind }) => kind === 'add-element');
        if (found === 'wrong' || sent.length === 0) return;
        outcome = await this.#send(family, sent);
      }
    }
    if (outcome.status === 'applied') {
      for (const operation of sent) outcomes.set(operation, applied);
      return;
    }
    if (outcome.status !== 'failed' || isStaleView(outcome.errno)) return;
    const [first] = sent;
    if (sent.length === 1 && first !== undefined) {
      outcomes.set(first, outcome);
      return;
    }
    const half = Math.ceil(sent.length / 2);
    await this.#apply(family, sent.slice(0, half), outcomes);
    await this.#apply(family, sent.slice(half), outcomes);
  }

  /** The state in which the rules were found. After `right` and `mended` the rules match. */
  async #repair(family: Family): Promise<'right' | 'mended' | 'wrong'> {
    this.#declared.delete(family);
    try {
      return (await this.#declare(family)) ? 'mended' : 'right';
    } catch (error) {
      if (!isExpectedError(error)) throw error;
      this.#log.repairFailed(family, messageOf(error));
      return 'wrong';
    }
  }

  async #send(family: Family, operations: readonly ElementOperation[]): Promise<TransactionOutcome> {
    const elementsOf = (kind: ElementOperation['kind']): readonly SetElement[] =>
      operations.filter((operation) => operation.kind === kind).map(({ element }) => element);
    const [added, removed] = [elementsOf('add-element'), elementsOf('delete-element')];
    for (const element of added) this.#optional.recordElement(element);
    try {
      await this.#declare(family);
    } catch (error) {
      if (!(error instanceof PacketRulesError) && !isReadError(error)) throw error;
      const errno = 'errno' in error ? error.errno : '';
      return { status: 'failed', errno, message: error.message, culprit: undefined };
    }
    return this.#transact(family, [
      ...elementChanges('delete-elements', this.#idOf(family), removed),
      ...elementChanges('add-elements', this.#idOf(family), added),
    ]);
  }

  async #transact(family: Family, changes: readonly NftablesChange[]): Promise<TransactionOutcome> {
    const outcome = await this.parts.client.transaction(changes);
    if (outcome.status !== 'applied') this.parts.onEvent?.('refused', family);
    return outcome;
  }
}
