import type { IpvsOperation } from '../../model/operation.js';
import { formatOperation } from '../../model/plan-entry.js';
import type { AttributeSet } from '../../netlink/codec/attributes.js';
import type { ByteWriter } from '../../netlink/codec/bytes.js';
import type { GenericFamily } from '../../netlink/generic-family.js';
import type { BodyShape, Request } from '../../netlink/message.js';
import { Command, type messageAttributes } from './attributes.js';
import {
  identityValues,
  realServerIdentityValues,
  realServerValues,
  virtualServerValues,
} from './convert.js';

type SpecsOf<Table> = Table extends AttributeSet<infer R> ? R : never;

export type IpvsFamily = GenericFamily<SpecsOf<typeof messageAttributes>>;

const commands: Readonly<Record<IpvsOperation['kind'], number>> = {
  'add-virtual-server': Command.newService,
  'update-virtual-server': Command.setService,
  'delete-virtual-server': Command.deleteService,
  'add-real-server': Command.newDestination,
  'update-real-server': Command.setDestination,
  'delete-real-server': Command.deleteDestination,
};

const valuesFor = (operation: IpvsOperation): Parameters<IpvsFamily['write']>[2] => {
  switch (operation.kind) {
    case 'add-virtual-server':
    case 'update-virtual-server':
      return { service: virtualServerValues(operation.server) };
    case 'delete-virtual-server':
      return { service: identityValues(operation.server) };
    case 'add-real-server':
    case 'update-real-server':
      return { service: identityValues(operation.of), destination: realServerValues(operation.server) };
    case 'delete-real-server':
      return {
        service: identityValues(operation.of),
        destination: realServerIdentityValues(operation.server),
      };
  }
};

/** A class instead of an object of closures, because a full sync creates one for each real server. */
class OperationRequest implements Request {
  readonly flags = 0;
  readonly type: number;
  readonly #command: number;

  constructor(
    readonly family: IpvsFamily,
    readonly ipvsOperation: IpvsOperation,
  ) {
    this.type = family.id;
    this.#command = commands[ipvsOperation.kind];
  }

  get shape(): BodyShape {
    return this.family.shape(this.#command);
  }

  operation(): string {
    return formatOperation(this.ipvsOperation);
  }

  write(writer: ByteWriter): void {
    this.family.write(writer, this.#command, valuesFor(this.ipvsOperation));
  }
}

/** The message that performs an operation. A value that does not fit becomes a failed outcome. */
export const requestFor = (family: IpvsFamily, operation: IpvsOperation): Request =>
  new OperationRequest(family, operation);
