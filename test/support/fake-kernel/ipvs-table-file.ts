import type { TableFile } from '../../../src/kernel/ipvs/table-file/table-file.js';
import type { Destination, Service } from '../../../src/kernel/ipvs/attributes.js';
import { viewOf } from '../../../src/netlink/codec/bytes.js';

/** A virtual server as the file shows it. */
export interface FileRow {
  readonly service: Service;
  readonly destinations: readonly (Destination & { readonly connections: number })[];
}

/** include/uapi/linux/ip_vs.h: IP_VS_SVC_F_* */
const persistent = 0x1;
const onePacket = 0x4;

const hex = (value: number, digits: number): string =>
  (value >>> 0).toString(16).toUpperCase().padStart(digits, '0');

const ipv6Text = (bytes: Uint8Array): string =>
  Array.from({ length: 8 }, (_, group) =>
    viewOf(bytes)
      .getUint16(2 * group)
      .toString(16)
      .padStart(4, '0'),
  ).join(':');

const socketAddress = ({
  family,
  address = new Uint8Array(16),
  port = 0,
}: Partial<Pick<Service, 'family' | 'address' | 'port'>>): string =>
  family === 'IPv6'
    ? `[${ipv6Text(address)}]:${hex(port, 4)}`
    : `${hex(viewOf(address).getUint32(0), 8)}:${hex(port, 4)}`;

/** ntohl(), also of the prefix length that IPv6 has there in host order. */
const netmaskText = ({ netmask = new Uint8Array(4) }: Service): string =>
  hex(viewOf(netmask).getUint32(0), 8);

const serviceLine = (service: Service, ticksPerSecond: number): string => {
  const { family, protocol, fwmark, scheduler, timeoutSeconds = 0 } = service;
  const flags = service.flags?.flags ?? 0;
  const ops = (flags & onePacket) === 0 ? '' : 'ops ';
  const rest =
    (flags & persistent) === 0
      ? ''
      : `persistent ${(timeoutSeconds * ticksPerSecond) | 0} ${netmaskText(service)}`;
  if (fwmark !== undefined && fwmark !== 0) return `FWM  ${hex(fwmark, 8)} ${scheduler} ${ops}${rest}\n`;
  if (family === 'IPv6') return `${protocol}  ${socketAddress(service)} ${scheduler} ${rest}\n`;
  return `${protocol}  ${socketAddress(service)} ${scheduler} ${ops} ${rest}\n`;
};

const forwardingNames = {
  masquerade: 'Masq',
  local: 'Local',
  tunnel: 'Tunnel',
  direct: 'Route',
  bypass: 'Masq',
} as const;

const destinationLine = (destination: FileRow['destinations'][number]): string => {
  const { forwarding = 'masquerade', weight = 0, connections } = destination;
  const numbers = [
    forwardingNames[forwarding].padEnd(7),
    String(weight).padEnd(6),
    String(connections).padEnd(10),
    '0'.padEnd(10),
  ];
  return `  -> ${socketAddress(destination)}      ${numbers.join(' ')}\n`;
};

const title = (connectionTableSize: number): string =>
  `IP Virtual Server version 1.2.1 (size=${connectionTableSize})\n` +
  'Prot LocalAddress:Port Scheduler Flags\n' +
  '  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n';

const pageBytes = 4096;

export interface FileFacts {
  /** The virtual server at this place of the table as it is now; undefined behind the last. */
  readonly row: (index: number) => FileRow | undefined;
  readonly connectionTableSize: number;
  readonly ticksPerSecond: () => number;
}

/**
 * The file as seq_file makes it: each read goes on from a position in the table as it is then, with as many whole virtual servers as
 * fit a page, and at least one.
 */
export const fakeTableFile =
  ({ row: rowAt, connectionTableSize, ticksPerSecond }: FileFacts): TableFile =>
  () => {
    let position = -1;
    let made = Buffer.alloc(0);
    const recordAt = (index: number): Buffer | undefined => {
      if (index < 0) return Buffer.from(title(connectionTableSize));
      const row = rowAt(index);
      if (row === undefined) return undefined;
      return Buffer.from(
        serviceLine(row.service, ticksPerSecond()) + row.destinations.map(destinationLine).join(''),
      );
    };
    const makePage = (): void => {
      const records: Buffer[] = [];
      let bytes = 0;
      for (let record = recordAt(position); record !== undefined; record = recordAt(position)) {
        if (bytes > 0 && bytes + record.length > pageBytes) break;
        records.push(record);
        bytes += record.length;
        position += 1;
      }
      made = Buffer.concat(records);
    };
    return {
      read: (buffer, offset) => {
        if (made.length === 0) makePage();
        const count = made.copy(buffer, offset);
        made = made.subarray(count);
        return count;
      },
      close: () => {},
    };
  };
