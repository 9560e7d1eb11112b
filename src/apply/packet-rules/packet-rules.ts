import { BaseError, messageOf } from '../../base/errors.js';
import { families, type Family } from '../../base/ip.js';
import type { Logger } from '../../base/log.js';
import {
  tableName,
  type SetDeclaration,
  type SetElement,
  type TableDeclaration,
} from '../../nftables/declarations.js';
import type { ElementOperation, Outcome } from '../../model/operation.js';
import type { TransactionOutcome } from '../../kernel/nftables/transaction-outcome.js';
import type { NftablesChange } from '../../kernel/nftables/changes.js';
import { elementChanges } from './element-changes.js';
import type { PacketRulesClient } from './packet-rules-client.js';
import { isReadError } from '../mirror/kernel-reader.js';
import { canUpdateInPlace, sameSet, cachedTableText } from './table-comparison.js';
import {
  isPacketClass,
  setDeclaration,
  sourceRangePrefixLength,
  takeOverSet,
} from '../../plan/packet-rules/packet-table.js';

export interface PacketRulesParts {
  readonly client: PacketRulesClient;
  /** Those that this kernel has rules for. */
  readonly families: readonly Family[];
  /** What the rules of a family are to be now, given the prefix lengths of source ranges in use. */
  readonly declaration: (family: Family, sourceLengths: readonly number[]) => TableDeclaration;
  /** What a table that is made anew is to hold from its first moment. */
  readonly initialElements: (family: Family) => Iterable<SetElement>;
  /** The tables are not as they were known: their elements are to be read again. */
  readonly onUntrusted: () => void;
  /** Told of each transaction that the kernel refused, and of rules that somebody changed and that were mended; must not throw. */
  readonly onEvent?: (what: 'refused' | 'mended', family: Family) => void;
  readonly log: Logger;
}

/** The kernel refused our tables; the message says which part. */
export class PacketRulesError extends BaseError {
  constructor(
    message: string,
    /** '': the kernel gave no answer. */
    readonly errno: string,
  ) {
    super(message);
  }
}

const applied: Outcome = { status: 'applied' };
const unknown: Outcome = { status: 'unknown' };

const isOurs = (set: SetDeclaration): boolean => {
  const declared = setDeclaration(set.name);
  return declared !== undefined && sameSet(set, declared);
};

/** Whether our picture of the elements is wrong: they are to be read again, instead of looking for the one at fault. */
const isStaleView = (errno: string): boolean => errno === 'ENOENT' || errno === 'EEXIST';

/**
 * Owns our nftables tables: declares their rules where they are not as they should be, and afterwards changes only elements. A
 * table of an older version, or one that somebody changed, is exchanged in one transaction, elements included, so that no
 * packet ever meets half of it.
 */
export class PacketRules {
  /** The texts of the tables as the kernel is known to have them. */
  readonly #declared = new Map<Family, string>();
  /** By family, why its rules could not be declared. */
  readonly #failures = new Map<Family, string>();
  /** Those of them whose elements could not be read. */
  readonly #unreadable = new Set<Family>();
  /** Families whose rules were declared, or found to be right, before. */
  readonly #declaredBefore = new Set<Family>();
  /** Families that had a table when that was looked at last. */
  readonly #present = new Set<Family>();
  readonly #sourceLengths: Readonly<Record<Family, Set<number>>> = { IPv4: new Set(), IPv6: new Set() };

  constructor(private readonly parts: PacketRulesParts) {}

  /** Whether the kernel has a table of ours for the family already, and whether it is marked as taking over from another proxy. */
  async state(family: Family): Promise<'none' | 'taking-over' | 'ours'> {
    if (!this.parts.families.includes(family)) return 'none';
    const present = await this.parts.client.table(family, tableName);
    if (present === undefined) return 'none';
    const mark = present.sets.find((set) => set.name === takeOverSet && isOurs(set));
    if (mark === undefined) return 'ours';
    const marks = await this.parts.client.elements(family, tableName, mark);
    return marks.length > 0 ? 'taking-over' : 'ours';
  }

  /** Whether the rules of the family could not be declared when that was tried last. */
  hasFailed(family: Family): boolean {
    return this.#failures.has(family);
  }

  /** Why the rules of the family are not as they should be. */
  lastErrorOf(family: Family): string | undefined {
    return this.#failures.get(family);
  }

  /** The families whose rules are not refused. */
  get inForce(): readonly Family[] {
    return this.parts.families.filter((family) => !this.#failures.has(family));
  }

  /**
   * Makes the rules as they should be, where they are not known to be; false where the kernel refused any: to be tried again
   * later. Until then the elements of that family are held to be there, so that everything else goes on.
   */
  async declare(): Promise<boolean> {
    for (const family of this.parts.families) {
      try {
        await this.#declare(family);
        if (this.#unreadable.has(family)) await this.#elements(family);
        this.#clearFailure(family);
      } catch (error) {
        this.#recordFailure(family, messageOf(error));
      }
    }
    return this.#failures.size === 0;
  }

  /** The text of the family's table as it is to be; beside `present`, where that has more sets for source ranges. */
  desiredText(family: Family, present?: TableDeclaration): string {
    for (const set of present?.sets ?? []) this.#recordSourceLength(family, set.name);
    return cachedTableText(this.#desiredTable(family));
  }

  /** Somebody else may have changed the tables: the next `declare` looks at the kernel. */
  invalidate(): void {
    this.#declared.clear();
  }

  /**
   * All elements of the families that the kernel has in sets that we know, but for the marks of a take-over; of a table that is
   * not there, what it will hold when it is made anew. A family whose elements cannot be read is in trouble until they can, and
   * costs the others nothing.
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

  /** A table that was declared is known and not read again. */
  async #elements(family: Family): Promise<readonly SetElement[]> {
    const desired = this.#desiredTable(family);
    const isKnown = this.#declared.get(family) === cachedTableText(desired);
    const present = isKnown ? desired : await this.#readTable(family);
    return present === undefined ? [...this.parts.initialElements(family)] : this.#readElements(present);
  }

  /** Sets for source ranges stay declared once they were seen: elements of theirs may be put there again. */
  async #readTable(family: Family): Promise<TableDeclaration | undefined> {
    const present = await this.parts.client.table(family, tableName);
    if (present === undefined) this.#present.delete(family);
    else this.#present.add(family);
    for (const set of present?.sets ?? []) this.#recordSourceLength(family, set.name);
    return present;
  }

  #desiredTable(family: Family): TableDeclaration {
    return this.parts.declaration(family, [...this.#sourceLengths[family]]);
  }

  /** One outcome an operation, in order; each family's in one transaction. One bad element does not hold up the others. */
  async apply(operations: readonly ElementOperation[]): Promise<readonly Outcome[]> {
    const outcomes = new Map<ElementOperation, Outcome>();
    for (const family of families) {
      const ofFamily = operations.filter(({ element }) => element.family === family);
      if (!this.inForce.includes(family)) {
        await this.#addMarkers(family, ofFamily);
        for (const operation of ofFamily) outcomes.set(operation, applied);
      } else if (ofFamily.length > 0) await this.#apply(family, ofFamily, outcomes);
    }
    return operations.map((operation) => outcomes.get(operation) ?? unknown);
  }

  /** Also in trouble the table as it is there takes names: they tell the next process whose the virtual servers are. */
  async #addMarkers(family: Family, operations: readonly ElementOperation[]): Promise<void> {
    const markers = operations.filter(
      ({ kind, element }) => kind === 'add-element' && isPacketClass(element.set),
    );
    if (markers.length === 0 || !this.#present.has(family)) return;
    const elements = markers.map(({ element }) => element);
    await this.parts.client.transaction(elementChanges('add-elements', family, elements));
  }

  #recordFailure(family: Family, problem: string): void {
    if (this.#failures.get(family) !== problem)
      this.parts.log.error(
        { table: tableName, family, problem },
        this.#unreadable.has(family)
          ? 'the packet rules cannot be read and stay as they are; it is tried again'
          : 'the packet rules are not in force: nothing is masqueraded, no source range and no traffic policy is enforced; it is tried again',
      );
    this.#failures.set(family, problem);
  }

  #clearFailure(family: Family): void {
    if (!this.#failures.delete(family)) return;
    this.#unreadable.delete(family);
    this.parts.log.info({ table: tableName, family }, 'the packet rules are in force again');
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
    const fields = { table: tableName, family };
    if (becauseOfUs) this.parts.log.debug(fields, 'declared the packet rules as they are to be now');
    else if (!this.#declaredBefore.has(family)) this.parts.log.info(fields, 'declared the packet rules');
    else {
      this.parts.log.warn(fields, 'somebody changed the packet rules; declared them anew');
      this.parts.onEvent?.('mended', family);
    }
    this.#declaredBefore.add(family);
  }

  async #replaceTable(desired: TableDeclaration, present: TableDeclaration | undefined): Promise<void> {
    const { family } = desired;
    const declare: NftablesChange = { kind: 'declare-table', declaration: desired };
    const changes =
      present === undefined
        ? [declare, ...elementChanges('add-elements', family, this.parts.initialElements(family))]
        : canUpdateInPlace(present, desired)
          ? [declare]
          : [
              { kind: 'delete-table', family, name: tableName } as const,
              declare,
              ...elementChanges('add-elements', family, await this.#readElements(present)),
            ];
    const outcome = await this.#transact(family, changes);
    if (outcome.status === 'applied') return;
    this.#declared.delete(family);
    const { errno, message } =
      outcome.status === 'failed' ? outcome : { errno: '', message: 'the kernel gave no answer' };
    throw new PacketRulesError(`cannot declare the packet rules for ${family}: ${message}`, errno);
  }

  async #readElements(present: TableDeclaration): Promise<readonly SetElement[]> {
    const elements: SetElement[] = [];
    for (const set of present.sets) {
      if (!isOurs(set)) continue;
      const found = await this.parts.client.elements(present.family, tableName, set);
      for (const element of found) elements.push(element);
    }
    return elements;
  }

  #recordSourceLength(family: Family, set: string): void {
    const length = sourceRangePrefixLength(set);
    if (length !== undefined) this.#sourceLengths[family].add(length);
  }

  async #apply(
    family: Family,
    operations: readonly ElementOperation[],
    outcomes: Map<ElementOperation, Outcome>,
  ): Promise<void> {
    let [sent, outcome] = [operations, await this.#send(family, operations)];
    if (outcome.status !== 'applied') {
      const found = await this.#repair(family);
      if (found !== 'right' || outcome.status === 'unknown' || isStaleView(outcome.errno)) {
        this.parts.onUntrusted();
        // What is to go may be gone. What comes can be asked for twice; it tells the next process whose the virtual servers are.
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

  /** How the rules were found; but for `wrong` they are as they should be afterwards. */
  async #repair(family: Family): Promise<'right' | 'mended' | 'wrong'> {
    this.#declared.delete(family);
    try {
      return (await this.#declare(family)) ? 'mended' : 'right';
    } catch (error) {
      this.parts.log.warn({ error: messageOf(error) }, 'the packet rules could not be mended');
      return 'wrong';
    }
  }

  async #send(family: Family, operations: readonly ElementOperation[]): Promise<TransactionOutcome> {
    const elementsOf = (kind: ElementOperation['kind']): readonly SetElement[] =>
      operations.filter((operation) => operation.kind === kind).map(({ element }) => element);
    const [added, removed] = [elementsOf('add-element'), elementsOf('delete-element')];
    for (const { set } of added) this.#recordSourceLength(family, set);
    try {
      await this.#declare(family);
    } catch (error) {
      if (!(error instanceof PacketRulesError) && !isReadError(error)) throw error;
      const errno = 'errno' in error ? error.errno : '';
      return { status: 'failed', errno, message: error.message, culprit: undefined };
    }
    return this.#transact(family, [
      ...elementChanges('delete-elements', family, removed),
      ...elementChanges('add-elements', family, added),
    ]);
  }

  async #transact(family: Family, changes: readonly NftablesChange[]): Promise<TransactionOutcome> {
    const outcome = await this.parts.client.transaction(changes);
    if (outcome.status !== 'applied') this.parts.onEvent?.('refused', family);
    return outcome;
  }
}
