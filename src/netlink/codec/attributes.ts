import { bytesAt, hex, type ByteWriter } from './bytes.js';
import { align, AttributeBits, attributeHeaderLength, hostIsLittleEndian } from '../constants.js';
import { ProtocolError } from '../errors.js';
import { describeValue, type Codec } from './scalars.js';

type Presence = 'required' | 'optional' | 'received';

/** One row of a table: the attribute's type, its codec, and whether it is required. */
export interface AttributeSpec<Out, In, P extends Presence> {
  readonly type: number;
  readonly codec: Codec<Out, In>;
  readonly presence: P;
}

/** Always sent; a received set without it is a ProtocolError. */
export const attr = <Out, In>(type: number, codec: Codec<Out, In>): AttributeSpec<Out, In, 'required'> => ({
  type,
  codec,
  presence: 'required',
});

/** Sent unless undefined; a received set may lack it. */
export const optional = <Out, In>(
  type: number,
  codec: Codec<Out, In>,
): AttributeSpec<Out, In, 'optional'> => ({
  type,
  codec,
  presence: 'optional',
});

/** Only received; may be absent. */
export const received = <Out, In>(
  type: number,
  codec: Codec<Out, In>,
): AttributeSpec<Out, In, 'received'> => ({
  type,
  codec,
  presence: 'received',
});

type AttributeSpecs = Readonly<Record<string, AttributeSpec<unknown, never, Presence>>>;

type NamesOf<R, P extends Presence> = {
  [Name in keyof R]: R[Name] extends AttributeSpec<unknown, never, P> ? Name : never;
}[keyof R];
type OutOf<R> = R extends AttributeSpec<infer Out, never, Presence> ? Out : never;
type InOf<R> = R extends { readonly codec: { write(writer: ByteWriter, value: infer In): void } }
  ? In
  : never;

/** The decoded values of a table with these rows. */
export type DecodedAttributes<R> = { readonly [Name in NamesOf<R, 'required'>]: OutOf<R[Name]> } & {
  readonly [Name in NamesOf<R, 'optional' | 'received'>]?: OutOf<R[Name]>;
};

/** The values to encode with a table of these rows. */
export type EncodedAttributes<R> = { readonly [Name in NamesOf<R, 'required'>]: InOf<R[Name]> } & {
  readonly [Name in NamesOf<R, 'optional'>]?: InOf<R[Name]> | undefined;
};

export type Decoded<Table> = Table extends AttributeSet<infer R> ? DecodedAttributes<R> : never;
export type Encoded<Table> = Table extends AttributeSet<infer R> ? EncodedAttributes<R> : never;

interface NamedAttributeSpec {
  readonly name: string;
  readonly type: number;
  readonly codec: Codec<unknown>;
  readonly presence: Presence;
  /** The type on the wire: with NLA_F_NESTED where the value is a set. */
  readonly wireType: number;
}

/**
 * A set of netlink attributes, written in the order of the rows. Reading ignores attributes without a row and those in `skipped`;
 * of repeated attributes the last counts, as in the kernel. A set is a codec, so sets nest.
 */
export class AttributeSet<R extends AttributeSpecs>
  implements Codec<DecodedAttributes<R>, EncodedAttributes<R>>
{
  readonly nested = true;
  readonly specs: readonly NamedAttributeSpec[];
  readonly #sent: readonly NamedAttributeSpec[];
  readonly #required: readonly NamedAttributeSpec[];
  readonly #byType: readonly (NamedAttributeSpec | undefined)[];

  constructor(
    readonly name: string,
    rows: R,
    skipped: readonly string[] = [],
  ) {
    this.specs = Object.entries(rows).map(([name, row]) => ({
      name,
      type: row.type,
      codec: row.codec as Codec<unknown>,
      presence: row.presence,
      wireType: wireTypeOf(row.type, row.codec),
    }));
    this.#sent = this.specs.filter((row) => row.presence !== 'received');
    this.#required = this.specs.filter((row) => row.presence === 'required');
    const byType: (NamedAttributeSpec | undefined)[] = [];
    for (const row of this.specs) if (!skipped.includes(row.name)) byType[row.type] = row;
    this.#byType = byType;
  }

  write(writer: ByteWriter, value: EncodedAttributes<R>): void {
    const values = value as Readonly<Record<string, unknown>>;
    for (const row of this.#sent) {
      const given = values[row.name];
      if (given !== undefined) writeAttribute(writer, row.wireType, row.codec, given, row.name);
      else if (row.presence === 'required') throw new ProtocolError('is missing', row.name);
    }
  }

  read(view: DataView, offset: number, length: number): DecodedAttributes<R> {
    const values: Record<string, unknown> = {};
    this.#walk(view, offset, length, (type, start, size) => {
      const row = this.#byType[type];
      if (row !== undefined) values[row.name] = readValue(row, view, start, size);
    });
    for (const row of this.#required)
      if (!(row.name in values)) throw new ProtocolError('is missing', row.name);
    return values as DecodedAttributes<R>;
  }

  /** Where the attribute's value begins, for dumps of thousands of messages: nothing is decoded. */
  valueOffset(view: DataView, offset: number, length: number, name: keyof R): number | undefined {
    let found: number | undefined;
    this.#walk(view, offset, length, (type, start) => {
      if (this.#byType[type]?.name === name) found = start;
    });
    return found;
  }

  /** `{port=80 service={…} #99=00 01}`: every attribute, including those without a row. */
  describe(view: DataView, offset: number, length: number): string {
    const parts: string[] = [];
    try {
      this.#walk(view, offset, length, (type, start, size) => {
        const row = this.#byType[type];
        parts.push(
          row === undefined
            ? `#${type}=${hex(bytesAt(view, start, size))}`
            : `${row.name}=${describeAttribute(row, view, start, size)}`,
        );
      });
    } catch (error) {
      parts.push(`<${String(error)}>`);
    }
    return `{${parts.join(' ')}}`;
  }

  pathAt(view: DataView, offset: number, length: number, target: number): string {
    let path = '';
    this.#walk(view, offset, length, (type, start, size) => {
      if (target < start - attributeHeaderLength || target >= start + Math.max(size, 1)) return;
      const row = this.#byType[type];
      const inner =
        row === undefined || target < start ? '' : (row.codec.pathAt?.(view, start, size, target) ?? '');
      path = [row?.name ?? `#${type}`, ...(inner === '' ? [] : [inner])].join('.');
    });
    return path;
  }

  #walk(
    view: DataView,
    offset: number,
    length: number,
    visit: (type: number, start: number, size: number) => void,
  ): void {
    walk(view, offset, length, visit, (type) => this.#byType[type]?.name ?? `#${type}`);
  }
}

/** Calls back with type, offset and length of each attribute's value. The last attribute's padding may be missing. */
const walk = (
  view: DataView,
  offset: number,
  length: number,
  visit: (type: number, start: number, size: number) => void,
  nameOf: (type: number) => string,
): void => {
  const end = offset + length;
  let at = offset;
  while (at < end) {
    if (end - at < attributeHeaderLength)
      throw new ProtocolError(`${end - at} bytes are left, too few for an attribute`);
    const size = view.getUint16(at, hostIsLittleEndian);
    const type = view.getUint16(at + 2, hostIsLittleEndian) & AttributeBits.typeMask;
    if (size < attributeHeaderLength || at + size > end)
      throw new ProtocolError(`has a length of ${size} bytes, but ${end - at} are left`, nameOf(type));
    visit(type, at + attributeHeaderLength, size - attributeHeaderLength);
    at += align(size);
  }
};

/** The length of the value that begins at the offset. */
export const valueLength = (view: DataView, start: number): number =>
  view.getUint16(start - attributeHeaderLength, hostIsLittleEndian) - attributeHeaderLength;

const wireTypeOf = (type: number, codec: Codec<unknown, never>): number =>
  codec.nested === true ? type | AttributeBits.nested : type;

const writeAttribute = <In>(
  writer: ByteWriter,
  wireType: number,
  codec: { write(writer: ByteWriter, value: In): void },
  value: In,
  name: string | number,
): void => {
  const start = writer.length;
  writer.u32(0);
  try {
    codec.write(writer, value);
  } catch (error) {
    throw error instanceof ProtocolError ? error.within(String(name)) : error;
  }
  const size = writer.length - start;
  if (size > 0xffff) throw new ProtocolError(`${size} bytes do not fit into an attribute`, String(name));
  writer.setU16(start, size);
  writer.setU16(start + 2, wireType);
  writer.pad();
};

const readValue = (row: NamedAttributeSpec, view: DataView, start: number, size: number): unknown => {
  try {
    return row.codec.read(view, start, size);
  } catch (error) {
    throw error instanceof ProtocolError ? error.within(row.name) : error;
  }
};

const describeAttribute = (row: NamedAttributeSpec, view: DataView, start: number, size: number): string => {
  try {
    return describeValue(row.codec, view, start, size);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return `${hex(bytesAt(view, start, size))} <${error.problem}>`;
  }
};

export const attributes = <R extends AttributeSpecs>(
  name: string,
  rows: R,
  skipped: readonly (NamesOf<R, 'received'> & string)[] = [],
): AttributeSet<R> => new AttributeSet(name, rows, skipped);

/** Any number of attributes of one type, each an item. Attributes of other types are ignored. */
export interface List<Out, In> extends Codec<readonly Out[], readonly In[]> {
  readonly type: number;
  readonly item: Codec<Out, In>;
}

type Visit = (start: number, size: number, index: number) => void;

class AttributeList<Out, In> implements List<Out, In> {
  readonly nested = true;
  readonly name: string;
  readonly #wireType: number;

  constructor(
    readonly type: number,
    readonly item: Codec<Out, In>,
  ) {
    this.name = `list of ${item.name}`;
    this.#wireType = wireTypeOf(type, item);
  }

  write(writer: ByteWriter, values: readonly In[]): void {
    let index = 0;
    for (const value of values) {
      writeAttribute(writer, this.#wireType, this.item, value, index);
      index += 1;
    }
  }

  read(view: DataView, offset: number, length: number): readonly Out[] {
    const values: Out[] = [];
    this.#visitItems(view, offset, length, (start, size, index) => {
      try {
        values.push(this.item.read(view, start, size));
      } catch (error) {
        throw error instanceof ProtocolError ? error.within(String(index)) : error;
      }
    });
    return values;
  }

  describe(view: DataView, offset: number, length: number): string {
    const parts: string[] = [];
    this.#visitItems(view, offset, length, (start, size) =>
      parts.push(describeValue(this.item, view, start, size)),
    );
    return `[${parts.join(' ')}]`;
  }

  pathAt(view: DataView, offset: number, length: number, target: number): string {
    let path = '';
    this.#visitItems(view, offset, length, (start, size, index) => {
      if (target < start - attributeHeaderLength || target >= start + Math.max(size, 1)) return;
      const inner = target < start ? '' : (this.item.pathAt?.(view, start, size, target) ?? '');
      path = inner === '' ? String(index) : `${index}.${inner}`;
    });
    return path;
  }

  #visitItems(view: DataView, offset: number, length: number, visit: Visit): void {
    let index = 0;
    const visitOne = (found: number, start: number, size: number): void => {
      if (found !== this.type) return;
      visit(start, size, index);
      index += 1;
    };
    walk(view, offset, length, visitOne, () => String(index));
  }
}

export const list = <Out, In>(type: number, item: Codec<Out, In>): List<Out, In> =>
  new AttributeList(type, item);
