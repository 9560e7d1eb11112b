import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { attr, attributes, list, optional, received } from '../../netlink/codec/attributes.js';
import { Connection } from '../../netlink/connection.js';
import { NetlinkError } from '../../netlink/errors.js';
import { MessageShape, type Request } from '../../netlink/message.js';
import { be16, be32, cstring, u8 } from '../../netlink/codec/scalars.js';
import { messageType, nfnetlinkHeader, Subsystem } from '../nfnetlink.js';

/** include/uapi/linux/netfilter/ipset/ip_set.h: IPSET_CMD_* */
const Command = {
  destroy: messageType(Subsystem.ipset, 3),
  list: messageType(Subsystem.ipset, 7),
} as const;

/** IPSET_PROTOCOL_MIN, supported by every current kernel */
const protocol = 6;
/** IPSET_FLAG_LIST_SETNAME */
const namesOnly = 1 << 1;

/** IPSET_ATTR_PORT in IPSET_ATTR_DATA */
const memberAttributes = attributes('member', { port: optional(4, be16) });

/** IPSET_ATTR_PROTOCOL, _SETNAME, _FLAGS, _ADT of _DATA */
export const setShape = new MessageShape(
  'ipset',
  nfnetlinkHeader,
  attributes('ipset', {
    protocol: attr(1, u8),
    name: optional(2, cstring),
    flags: optional(6, be32),
    members: received(8, list(7, memberAttributes)),
  }),
);

const request = (
  type: number,
  operation: string,
  values: { readonly name?: string; readonly flags?: number },
): Request => ({
  type,
  flags: 0,
  operation: () => operation,
  shape: setShape,
  write: (writer) => setShape.write(writer, { family: 'unspecified' }, { protocol, ...values }),
});

/** Whether ip_set is loaded. A query for sets would load it, which a read-only command must not do. */
export const hasIpset = (modules = '/sys/module'): boolean =>
  !existsSync(modules) || existsSync(join(modules, 'ip_set'));

/** The ipset sets of the network namespace that the process was in when the client was opened. */
export class IpsetClient implements Disposable {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
    connection.registerShapes((message) => (message.type >> 8 === Subsystem.ipset ? setShape : undefined));
  }

  static open(connection: Connection = Connection.open('netfilter')): IpsetClient {
    return new IpsetClient(connection);
  }

  /** The names of all sets; none where ip_set is not loaded. A NetlinkError EINVAL where the kernel has no ip_set. */
  names(isLoaded: () => boolean = hasIpset): readonly string[] {
    if (!isLoaded()) return [];
    return this.#connection
      .dump(request(Command.list, 'list the sets of ipset', { flags: namesOnly }))
      .flatMap((message) => setShape.read(message).attributes.name ?? []);
  }

  /** The ports of the members of a set, whatever other fields they have. A NetlinkError ENOENT where there is no such set. */
  ports(name: string): readonly number[] {
    return this.#connection
      .dump(request(Command.list, `list the members of set ${name}`, { name }))
      .flatMap((message) => setShape.read(message).attributes.members ?? [])
      .flatMap(({ port }) => port ?? []);
  }

  /** Undefined where the set no longer exists; otherwise the reason. */
  destroy(name: string): string | undefined {
    try {
      this.#connection.execute(request(Command.destroy, `destroy set ${name}`, { name }));
      return undefined;
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      return error.errno === 'ENOENT' ? undefined : `a rule or a set uses it (${error.message})`;
    }
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }
}
