import { Yielder } from '../../base/async.js';
import { BaseError } from '../../base/errors.js';
import { IpvsClient } from '../../kernel/ipvs/client.js';
import { missingIpvs, missingCapability } from '../../kernel/ipvs/remedies.js';
import { RtnetlinkClient } from '../../kernel/rtnetlink/client.js';
import type { InstanceNames } from '../../model/instance-names.js';
import type { BoundVips } from '../../model/settings/vip-binding.js';
import type {
  RealServerKey,
  RealServerObservation,
  VirtualServerIdentity,
  VirtualServerObservation,
} from '../../model/virtual-server.js';
import { Connection } from '../../netlink/connection.js';
import { NetlinkError } from '../../netlink/errors.js';
import type { KernelSnapshot, ObservedVirtualServer } from './kernel-snapshot.js';

/** The kernel lacks a feature, or the process lacks a capability; the message says which and how to get it. */
export class KernelAccessError extends BaseError {}

/** Adds the remedy to an error of the kernel that has one. */
export const withRemedy = (error: unknown): unknown => {
  if (!(error instanceof NetlinkError)) return error;
  switch (error.errno) {
    case 'EPERM':
    case 'EACCES':
      return new KernelAccessError(`the kernel does not permit reading IPVS; ${missingCapability}`);
    case 'ENOENT':
      return new KernelAccessError(`this kernel has no IPVS: ${missingIpvs}`);
    default:
      return error;
  }
};

/** How much is read of each virtual server. */
export interface ReadScope {
  /** Its real servers: one request to the kernel for each virtual server. */
  readonly realServers: boolean;
  readonly statistics: boolean;
}

const readRealServers = async (
  client: IpvsClient,
  server: ObservedVirtualServer['server'],
): Promise<ObservedVirtualServer | undefined> => {
  const realServers = await client.realServers(server.identity);
  // The virtual server may have just been deleted.
  if (realServers.length === 0 && (await client.virtualServer(server.identity)) === undefined)
    return undefined;
  return {
    server,
    realServers: new Map<RealServerKey, RealServerObservation>(realServers.map((real) => [real.key, real])),
  };
};

const openClient = (statistics: boolean): IpvsClient =>
  IpvsClient.open(Connection.open('generic'), { statistics });

/** All virtual servers, without their real servers and counters. */
export const readVirtualServers = async (): Promise<readonly VirtualServerObservation[]> => {
  const client = openClient(false);
  try {
    return await client.virtualServers();
  } finally {
    client.close();
  }
};

/** How long the event loop is blocked at most. */
const maximumBlockMilliseconds = 20;

/** On machines with a slow clock, reading it costs as much as reading a virtual server. */
const serversPerClockCheck = 16;

const everything: ReadScope = { realServers: true, statistics: true };

const readMatching = async (
  matches: IdentityMatcher,
  { realServers, statistics }: ReadScope,
): Promise<readonly ObservedVirtualServer[]> => {
  const client = openClient(statistics);
  try {
    const servers = (await client.virtualServers()).filter(({ identity, key }) => matches(identity, key));
    if (!realServers) return servers.map((server) => ({ server, realServers: new Map() }));
    const virtualServers: ObservedVirtualServer[] = [];
    const yielder = new Yielder(maximumBlockMilliseconds, serversPerClockCheck);
    for (const server of servers) {
      await yielder.yieldIfDue();
      const entry = await readRealServers(client, server);
      if (entry !== undefined) virtualServers.push(entry);
    }
    return virtualServers;
  } finally {
    client.close();
  }
};

const readBoundVips = async (names: InstanceNames): Promise<BoundVips> => {
  const client = RtnetlinkClient.open(names);
  try {
    const dummy = await client.link(names.dummyInterface);
    const addresses = dummy === undefined ? [] : await client.addresses();
    return {
      address: addresses
        .filter(({ interfaceIndex }) => interfaceIndex === dummy?.index)
        .map(({ address }) => address),
      route: await client.vipRoutes(),
    };
  } finally {
    client.close();
  }
};

type IdentityMatcher = (identity: VirtualServerIdentity, key: string) => boolean;

const rejectWithRemedy = async <T>(work: Promise<T>): Promise<T> => {
  try {
    return await work;
  } catch (error) {
    throw withRemedy(error);
  }
};

/** Reads the virtual servers that match. Rejects with KernelAccessError where IPVS or the capability is missing. */
export const readMatchingVirtualServers = (
  matches: IdentityMatcher,
  scope: ReadScope = everything,
): Promise<readonly ObservedVirtualServer[]> => rejectWithRemedy(readMatching(matches, scope));

/** Reads the virtual servers that match, and the VIPs that the instance bound. Rejects as readMatchingVirtualServers does. */
export const readKernelSnapshot = async (
  names: InstanceNames,
  matches: IdentityMatcher,
  scope: ReadScope = everything,
): Promise<KernelSnapshot> => ({
  virtualServers: await readMatchingVirtualServers(matches, scope),
  vips: await rejectWithRemedy(readBoundVips(names)),
});
