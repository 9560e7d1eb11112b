import { attr, attributes } from '../../../src/netlink/codec/attributes.js';
import {
  chainShape,
  elementsShape,
  generationShape,
  NftablesMessage,
  ownerShape,
  ruleShape,
  setShape,
  tableShape,
} from '../../../src/kernel/nftables/attributes.js';
import { elementFrom, setFrom } from '../../../src/kernel/nftables/convert.js';
import type { SetElement } from '../../../src/nftables/declarations.js';
import type { ReceivedExpression } from '../../../src/kernel/nftables/expression-attributes.js';
import {
  BatchMessage,
  batchShapes,
  NetfilterGroup,
  nfnetlinkHeader,
  Subsystem,
  type NetfilterFamily,
} from '../../../src/kernel/nfnetlink.js';
import { cstring, rawBytes } from '../../../src/netlink/codec/scalars.js';
import type { ByteWriter } from '../../../src/netlink/codec/bytes.js';
import { MessageFlag } from '../../../src/netlink/constants.js';
import type { Message } from '../../../src/netlink/message.js';
import { writeAllAttributes, type AnyAttributeSpec } from '../attribute-sets.js';
import { Refusal, type Answer, type Body, type Notify } from './answer.js';
import { applyChange } from './nftables-changes.js';
import { Ruleset, type FakeSet, type FakeTable } from './nftables-ruleset.js';

/** What became of each message of a transaction that is answered: its error, or that it was done. */
export type TransactionAnswers = readonly (readonly [Message, Refusal | undefined])[];

const rawExpression = attributes('expression', {
  name: attr(1, cstring),
  data: attr(2, rawBytes(0, 0xffff)),
});

/** Expressions are told as they were given. */
const asGiven = (expression: ReceivedExpression) => ({
  name: expression.name,
  write: (writer: ByteWriter) => rawExpression.write(writer, expression),
});

const elementsPerMessage = 16;

interface Shape {
  readonly attributes: { readonly name: string; readonly specs: readonly AnyAttributeSpec[] };
}

/** The nftables of one network namespace, by the rules of net/netfilter/nf_tables_api.c. */
export class FakeNftables {
  #ruleset = new Ruleset();
  #generation = 1;

  constructor(private readonly notify: Notify) {}

  tables(): Iterable<FakeTable> {
    return this.#ruleset.tables();
  }

  /** Of the sets of all tables with this name. */
  *elementsOf(tableName: string): Iterable<SetElement> {
    for (const { family, name, sets } of this.#ruleset.tables()) {
      const ipFamily = family === 'ip6' ? 'IPv6' : 'IPv4';
      if (name !== tableName) continue;
      for (const { values, elements } of sets.values()) {
        const declaration = setFrom(values, ipFamily);
        if (declaration === undefined) continue;
        for (const element of elements.values()) yield elementFrom(element, declaration, ipFamily);
      }
    }
  }

  handle(message: Message): Answer {
    const { header, attributes: owner } = ownerShape.read(message);
    const { table = '', set = '' } = owner;
    const isDump = (message.flags & MessageFlag.dump) === MessageFlag.dump;
    switch (message.type) {
      case NftablesMessage.getGeneration:
        return { kind: 'message', type: NftablesMessage.newGeneration, body: this.#generationBody() };
      case NftablesMessage.getTable:
        if (isDump) return this.#dump(NftablesMessage.newTable, header.family, tableBodies);
        return this.#getTable(header.family, table);
      case NftablesMessage.getChain:
        return this.#dump(NftablesMessage.newChain, header.family, chainBodies);
      case NftablesMessage.getRule:
        return this.#dump(NftablesMessage.newRule, header.family, ruleBodies, owner.table);
      case NftablesMessage.getSet:
        if (owner.table !== undefined) this.#ruleset.table(header.family, owner.table);
        return this.#dump(NftablesMessage.newSet, header.family, setBodies, owner.table);
      case NftablesMessage.getElements:
        return this.#dumpElements(header.family, table, set);
      default:
        throw new Refusal('EINVAL');
    }
  }

  /** All messages of a datagram that begins a transaction: done as a whole where it ends, and where none is refused. */
  transact(messages: readonly Message[], portId: number): TransactionAnswers {
    const [begin, ...rest] = messages;
    if (begin === undefined) return [];
    const refusal = this.#refusalOf(begin);
    if (refusal !== undefined) return [[begin, refusal]];
    const endsAt = rest.findIndex(({ type }) => type === BatchMessage.end);
    const draft = this.#ruleset.draft();
    const changed: Message[] = [];
    const answers = rest.slice(0, endsAt === -1 ? rest.length : endsAt).map((message) => {
      const problem = attempt(() => {
        if (applyChange(draft, message)) changed.push(message);
      });
      return [message, problem] as const;
    });
    if (endsAt !== -1 && answers.every(([, problem]) => problem === undefined))
      this.#commit(draft, changed, portId);
    return answers.filter(
      ([{ flags }, problem]) => problem !== undefined || (flags & MessageFlag.acknowledge) !== 0,
    );
  }

  #refusalOf(begin: Message): Refusal | undefined {
    const { header, attributes: batch } = batchShapes[BatchMessage.begin].read(begin);
    if (header.resourceId !== Subsystem.nftables) return new Refusal('EOPNOTSUPP');
    const isOutdated = batch.generation !== undefined && batch.generation !== this.#generation;
    return isOutdated ? new Refusal('ERANGE') : undefined;
  }

  #commit(draft: Ruleset, messages: readonly Message[], portId: number): void {
    if (messages.length === 0) return;
    this.#ruleset = draft;
    this.#generation += 1;
    for (const message of messages) {
      const { header, attributes: owner } = ownerShape.read(message);
      // The daemon reads only the table and the set of a notification, so the rest of the object is left out.
      this.#tell(message.type, portId, (writer) => ownerShape.write(writer, header, owner));
    }
    this.#tell(NftablesMessage.newGeneration, portId, this.#generationBody());
  }

  #tell(type: number, portId: number, body: Body): void {
    this.notify({ protocol: 'netfilter', group: NetfilterGroup.nftables, type, portId, body });
  }

  #generationBody(): Body {
    return this.#body(generationShape, 'unspecified', { id: this.#generation });
  }

  #body(shape: Shape, family: NetfilterFamily | undefined, values: Readonly<Record<string, unknown>>): Body {
    return (writer) => {
      nfnetlinkHeader.write(writer, {
        family: family ?? 'unspecified',
        resourceId: this.#generation & 0xffff,
      });
      writeAllAttributes(writer, shape.attributes, values);
    };
  }

  #getTable(family: NetfilterFamily | undefined, name: string): Answer {
    const [described] = tableBodies(this.#ruleset.table(family, name));
    const body = described === undefined ? () => {} : this.#body(described.shape, family, described.values);
    return { kind: 'message', type: NftablesMessage.newTable, body };
  }

  /** Of the tables of a family, or of all, or of those of a name. */
  #dump(
    type: number,
    family: NetfilterFamily | undefined,
    bodiesOf: (table: FakeTable) => readonly Described[],
    name?: string,
  ): Answer {
    const objects = (): readonly Body[] =>
      [...this.#ruleset.tables()]
        .filter((table) => family === 'unspecified' || table.family === family)
        .filter((table) => name === undefined || table.name === name)
        .flatMap((table) =>
          bodiesOf(table).map(({ shape, values }) => this.#body(shape, table.family, values)),
        );
    return { kind: 'dump', type, objects, generation: () => this.#generation };
  }

  #dumpElements(family: NetfilterFamily | undefined, table: string, set: string): Answer {
    if (!this.#ruleset.table(family, table).sets.has(set)) throw new Refusal('ENOENT');
    const objects = (): readonly Body[] => {
      const found = this.#ruleset.find(family, table)?.sets.get(set);
      return (found === undefined ? [] : elementBodies(table, found)).map(({ shape, values }) =>
        this.#body(shape, family, values),
      );
    };
    return { kind: 'dump', type: NftablesMessage.newElements, objects, generation: () => this.#generation };
  }
}

const attempt = (work: () => void): Refusal | undefined => {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
};

interface Described {
  readonly shape: Shape;
  readonly values: Readonly<Record<string, unknown>>;
}

const tableBodies = ({ name, flags, handle, chains }: FakeTable): readonly Described[] => [
  { shape: tableShape, values: { name, flags, handle, uses: chains.size } },
];

const chainBodies = ({ chains }: FakeTable): readonly Described[] =>
  [...chains.values()].map(({ values, handle, rules }) => ({
    shape: chainShape,
    values: { ...values, handle, uses: rules.length },
  }));

const ruleBodies = ({ chains }: FakeTable): readonly Described[] =>
  [...chains.values()].flatMap(({ rules }) =>
    rules.map(({ values, handle }) => ({
      shape: ruleShape,
      values: { ...values, handle, expressions: (values.expressions ?? []).map(asGiven) },
    })),
  );

const setBodies = ({ sets }: FakeTable): readonly Described[] =>
  [...sets.values()].map(({ values, handle }) => ({
    shape: setShape,
    values: { ...values, handle, id: undefined },
  }));

const elementBodies = (table: string, { values, elements }: FakeSet): readonly Described[] => {
  const all = [...elements.values()];
  const count = Math.ceil(all.length / elementsPerMessage);
  return Array.from({ length: count }, (_, index) => ({
    shape: elementsShape,
    values: {
      table,
      set: values.name,
      elements: all.slice(index * elementsPerMessage, (index + 1) * elementsPerMessage),
    },
  }));
};
