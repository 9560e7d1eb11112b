import { Turns } from '../base/async.js';
import { BaseError } from '../base/errors.js';
import { IpvsClient } from '../kernel/ipvs/client.js';
import { withoutIpvs, withoutRight } from '../kernel/ipvs/remedy.js';
import { RouteClient } from '../kernel/rtnetlink/client.js';
import { dummyInterfaceName } from '../model/node.js';
import type {
  RealServerKey,
  RealServerObservation,
  VirtualServerIdentity,
  VirtualServerObservation,
} from '../model/virtual-server.js';
import { NetlinkError } from '../netlink/errors.js';
import type { KernelTable, ObservedTable } from './kernel-table.js';

/** The kernel lacks something, or we lack a right: the message says what and how to get it. */
export class KernelAccessError extends BaseError {}

/** A refusal of the kernel's with what to do about it; anything else as it is. */
export const withRemedy = (error: unknown): unknown => {
  if (!(error instanceof NetlinkError)) return error;
  switch (error.errno) {
    case 'EPERM':
    case 'EACCES':
      return new KernelAccessError(
        `the kernel does not let us read what kube-ipvs programs; ${withoutRight}`,
      );
    case 'ENOENT':
      return new KernelAccessError(`this kernel has no IPVS: ${withoutIpvs}`);
    default:
      return error;
  }
};

const readTable = async (
  client: IpvsClient,
  server: ObservedTable['server'],
): Promise<ObservedTable | undefined> => {
  const realServers = await client.realServers(server.identity);
  // None may also mean that the virtual server has just gone.
  if (realServers.length === 0 && (await client.virtualServer(server.identity)) === undefined)
    return undefined;
  return {
    server,
    realServers: new Map<RealServerKey, RealServerObservation>(realServers.map((real) => [real.key, real])),
  };
};

/** So long keys and signals wait at most. */
const longestStopMilliseconds = 20;

/** All virtual servers, without their real servers. */
export const readVirtualServers = async (): Promise<readonly VirtualServerObservation[]> => {
  const client = IpvsClient.open();
  try {
    return await client.virtualServers();
  } finally {
    client.close();
  }
};

const readTables = async (
  matches: (identity: VirtualServerIdentity, key: string) => boolean,
): Promise<readonly ObservedTable[]> => {
  const client = IpvsClient.open();
  try {
    const tables: ObservedTable[] = [];
    const turns = new Turns(longestStopMilliseconds);
    for (const server of await client.virtualServers()) {
      await turns.turn();
      const table = matches(server.identity, server.key) ? await readTable(client, server) : undefined;
      if (table !== undefined) tables.push(table);
    }
    return tables;
  } finally {
    client.close();
  }
};

const readDummyAddresses = async (): Promise<KernelTable['dummyAddresses']> => {
  const client = RouteClient.open();
  try {
    const dummy = await client.link(dummyInterfaceName);
    if (dummy === undefined) return [];
    return (await client.addresses())
      .filter(({ interfaceIndex }) => interfaceIndex === dummy.index)
      .map(({ address }) => address);
  } finally {
    client.close();
  }
};

/** Reads the virtual servers that match, and the addresses on kube-ipvs0. Rejects with KernelAccessError where IPVS or the right is missing. */
export const readKernel = async (
  matches: (identity: VirtualServerIdentity, key: string) => boolean,
): Promise<KernelTable> => {
  try {
    return { tables: await readTables(matches), dummyAddresses: await readDummyAddresses() };
  } catch (error) {
    throw withRemedy(error);
  }
};
