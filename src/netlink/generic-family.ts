import {
  attributes,
  optional,
  received,
  type AttributeSet,
  type EncodedAttributes,
} from './codec/attributes.js';
import type { ByteWriter } from './codec/bytes.js';
import type { Connection } from './connection.js';
import { MessageShape, type Message, type Request } from './message.js';
import { cstring, u16, u32, u8 } from './codec/scalars.js';
import { struct } from './codec/struct.js';

/** include/uapi/linux/genetlink.h: struct genlmsghdr */
const headerFields = { command: u8, version: u8, _reserved: u16 };
export const genericHeader = struct('generic', headerFields);

/** include/uapi/linux/genetlink.h: GENL_ID_CTRL, CTRL_CMD_GETFAMILY */
export const controlFamilyId = 0x10;
export const ControlCommand = { newFamily: 1, deleteFamily: 2, getFamily: 3 } as const;

/** include/uapi/linux/genetlink.h: CTRL_ATTR_* */
export const controlAttributes = attributes('family', {
  familyId: received(1, u16),
  familyName: optional(2, cstring),
  version: received(3, u32),
  headerLength: received(4, u32),
  highestAttribute: received(5, u32),
});

type AttributeSetSpecs = ConstructorParameters<typeof AttributeSet>[1];

/** A generic netlink family with the id that the kernel assigned. All its messages share one table. */
export class GenericFamily<R extends AttributeSetSpecs> {
  readonly #shapes = new Map<number, MessageShape<typeof headerFields, R>>();
  readonly #unnamed: MessageShape<typeof headerFields, R>;

  /** `commands` names messages in traces. */
  constructor(
    readonly id: number,
    readonly version: number,
    table: AttributeSet<R>,
    commands: Readonly<Record<string, number>>,
  ) {
    this.#unnamed = new MessageShape(table.name, genericHeader, table);
    for (const [name, command] of Object.entries(commands))
      this.#shapes.set(command, new MessageShape(`${table.name} ${name}`, genericHeader, table));
  }

  /** `values` is called when the message is written, so that a value that does not fit fails only that message. */
  request(
    command: number,
    options: { readonly flags?: number; readonly operation: () => string },
    values: () => EncodedAttributes<R>,
  ): Request {
    return {
      type: this.id,
      flags: options.flags ?? 0,
      operation: options.operation,
      shape: this.shape(command),
      write: (writer) => this.write(writer, command, values()),
    };
  }

  /** Appends the body of a message. */
  write(writer: ByteWriter, command: number, values: EncodedAttributes<R>): void {
    this.#unnamed.write(writer, { command, version: this.version }, values);
  }

  readonly decode = (
    message: Message,
  ): ReturnType<MessageShape<typeof headerFields, R>['read']>['attributes'] =>
    this.#unnamed.read(message).attributes;

  /** For traces: the shape of a message of this family. */
  readonly shapeOf = (message: Message): MessageShape<typeof headerFields, R> | undefined => {
    if (message.type !== this.id || message.bodyLength < 1) return undefined;
    return this.shape(message.view.getUint8(message.bodyOffset));
  };

  /** The shape of a command's messages. */
  shape(command: number): MessageShape<typeof headerFields, R> {
    return this.#shapes.get(command) ?? this.#unnamed;
  }
}

/** The controller, the only family with a fixed id. */
export const controlFamily = new GenericFamily(controlFamilyId, 1, controlAttributes, ControlCommand);

/** The id of a family. The kernel loads its module; a NetlinkError ENOENT where it has none. */
export const lookUpFamily = (connection: Connection, familyName: string): number => {
  connection.registerShapes(controlFamily.shapeOf);
  const operation = (): string => `find the generic netlink family ${familyName}`;
  const request = controlFamily.request(ControlCommand.getFamily, { operation }, () => ({ familyName }));
  return connection.request(request, (message) => controlFamily.decode(message).familyId ?? 0);
};
