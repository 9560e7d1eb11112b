import assert from 'node:assert/strict';
import { parseIp, type IpAddress } from '../../src/base/ip.js';
import type { ObservedVirtualServer } from '../../src/cli/kernel/kernel-snapshot.js';
import type { Protocol } from '../../src/base/protocol.js';
import {
  realServerKey,
  virtualServerKey,
  type RealServerObservation,
  type Statistics,
  type VirtualServerObservation,
  type VirtualServerEntry,
} from '../../src/model/virtual-server.js';

/** An address that the test wrote. */
export const ip = (text: string): IpAddress => parseIp(text) ?? assert.fail(text);

/** Totals and rates that follow from two numbers. */
export const statistics = (connections: bigint, inBytes: bigint): Statistics => ({
  connections,
  inPackets: connections * 10n,
  outPackets: connections * 8n,
  inBytes,
  outBytes: inBytes * 3n,
  connectionsPerSecond: 5n,
  inPacketsPerSecond: 50n,
  outPacketsPerSecond: 40n,
  inBytesPerSecond: 2048n,
  outBytesPerSecond: 6144n,
});

/** A virtual server by address as the kernel tells it. */
export const virtual = (
  protocol: Protocol,
  address: string,
  port: number,
  extra: Partial<VirtualServerObservation> = {},
): VirtualServerObservation => {
  const identity = { by: 'address', protocol, address: ip(address), port } as const;
  return {
    key: virtualServerKey(identity),
    identity,
    scheduler: 'rr',
    persistence: undefined,
    flags: [],
    statistics: statistics(12n, 4096n),
    ...extra,
  };
};

/** A real server as the kernel tells it. */
export const real = (
  address: string,
  port: number,
  active: number,
  extra: Partial<RealServerObservation> = {},
): RealServerObservation => ({
  key: realServerKey(ip(address), port),
  address: ip(address),
  port,
  weight: 1,
  forwarding: 'masquerade',
  upperThreshold: 0,
  lowerThreshold: 0,
  activeConnections: active,
  inactiveConnections: 2,
  persistentConnections: 0,
  statistics: statistics(6n, 2048n),
  ...extra,
});

/** A virtual server with its real servers. */
export const entry = (
  server: VirtualServerObservation,
  ...servers: RealServerObservation[]
): ObservedVirtualServer => ({
  server,
  realServers: new Map(servers.map((each) => [each.key, each])),
});

/** What is wanted, as a kernel tells it that has just got it. */
export const observedEntry = ({ server, realServers }: VirtualServerEntry): ObservedVirtualServer => ({
  server: { ...server, statistics: undefined },
  realServers: new Map(
    [...realServers.values()].map((each) => [each.key, real(each.address, each.port, 0, { ...each })]),
  ),
});
