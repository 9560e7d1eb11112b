import type { ByteWriter } from './bytes.js';
import { ProtocolError } from '../errors.js';
import { describeValue, type FixedCodec } from './scalars.js';

type StructFields = Readonly<Record<string, FixedCodec<unknown, never>>>;

type Value<Field> = Field extends FixedCodec<infer Out, never> ? Out : never;

/** Names of padding begin with an underscore; it is not read. */
type NamedField<Fields> = Exclude<keyof Fields, `_${string}`>;

export type StructValue<Fields> = { readonly [Name in NamedField<Fields>]: Value<Fields[Name]> };

/** A C struct of scalars without implicit padding. Missing fields are written as zero. */
export class Struct<Fields extends StructFields>
  implements FixedCodec<StructValue<Fields>, Partial<StructValue<Fields>>>
{
  readonly length: number;
  readonly fields: readonly {
    readonly name: string;
    readonly codec: FixedCodec<unknown>;
    readonly offset: number;
  }[];

  constructor(
    readonly name: string,
    fields: Fields,
  ) {
    let offset = 0;
    this.fields = Object.entries(fields).map(([name, codec]) => {
      const field = { name, codec: codec as FixedCodec<unknown>, offset };
      offset += codec.length;
      return field;
    });
    this.length = offset;
  }

  write(writer: ByteWriter, value: Partial<StructValue<Fields>>): void {
    const values = value as Readonly<Record<string, unknown>>;
    for (const { name, codec } of this.fields) {
      const given = values[name];
      if (given === undefined) writer.zeros(codec.length);
      else codec.write(writer, given);
    }
  }

  read(view: DataView, offset: number, length: number): StructValue<Fields> {
    if (length !== this.length)
      throw new ProtocolError(`${this.name} has ${this.length} bytes, here ${length}`);
    const values: Record<string, unknown> = {};
    for (const field of this.fields)
      if (!field.name.startsWith('_'))
        values[field.name] = field.codec.read(view, offset + field.offset, field.codec.length);
    return values as StructValue<Fields>;
  }

  describe(view: DataView, offset: number): string {
    const parts = this.fields
      .filter((field) => !field.name.startsWith('_'))
      .map(
        (field) =>
          `${field.name}=${describeValue(field.codec, view, offset + field.offset, field.codec.length)}`,
      );
    return `{${parts.join(' ')}}`;
  }
}

export const struct = <Fields extends StructFields>(name: string, fields: Fields): Struct<Fields> =>
  new Struct(name, fields);
