import {
  realServerKey,
  virtualServerKey,
  type RealServer,
  type RealServerObservation,
  type VirtualServer,
  type VirtualServerIdentity,
  type VirtualServerEntry,
} from '../../src/model/virtual-server.js';
import { ip } from './objects.js';

/** A real server of weight 1, masqueraded, unless told. */
export const real = (address: string, port: number, fields: Partial<RealServer> = {}): RealServer => ({
  key: realServerKey(ip(address), port),
  address: ip(address),
  port,
  weight: 1,
  forwarding: 'masquerade',
  upperThreshold: 0,
  lowerThreshold: 0,
  ...fields,
});

/** A virtual server with rr and nothing else, unless told. */
export const virtual = (
  identity: VirtualServerIdentity,
  fields: Partial<VirtualServer> = {},
): VirtualServer => ({
  key: virtualServerKey(identity),
  identity,
  scheduler: 'rr',
  persistence: undefined,
  flags: [],
  ...fields,
});

export const entry = (
  identity: VirtualServerIdentity,
  fields: Partial<VirtualServer>,
  ...servers: readonly (RealServer & Pick<RealServerObservation, 'tunnel'>)[]
): VirtualServerEntry<RealServer & Pick<RealServerObservation, 'tunnel'>> => ({
  server: virtual(identity, fields),
  realServers: new Map(servers.map((server) => [server.key, server])),
});

/** The identity of a virtual server on an address. */
export const at = (
  protocol: 'TCP' | 'UDP' | 'SCTP',
  address: string,
  port: number,
): VirtualServerIdentity => ({
  by: 'address',
  protocol,
  address: ip(address),
  port,
});

/** Virtual servers that together have every option that ipvsadm knows. */
export const everyOption: readonly ReturnType<typeof entry>[] = [
  entry(
    at('UDP', 'fd00::1', 53),
    { scheduler: 'sh', persistence: { seconds: 60, prefixLength: 64 }, flags: ['sh-fallback', 'sh-port'] },
    real('fd00::2', 53, { weight: 0 }),
  ),
  entry(
    at('TCP', '10.0.0.1', 80),
    { persistence: { seconds: 360, prefixLength: 20 } },
    real('10.1.0.2', 8080, { upperThreshold: 100, lowerThreshold: 50 }),
    real('10.1.0.1', 8080),
  ),
  entry(
    { by: 'fwmark', fwmark: 5, family: 'IPv6' },
    { scheduler: 'wlc', persistence: { seconds: 300, prefixLength: 128 } },
    real('fd00::3', 0, { forwarding: 'direct', weight: 3 }),
  ),
  entry({ by: 'fwmark', fwmark: 6, family: 'IPv4' }, {}),
  entry(
    at('SCTP', '10.0.0.1', 99),
    {},
    {
      ...real('10.1.0.1', 99, { forwarding: 'tunnel' }),
      tunnel: { type: 'ipip', port: 0, flags: 0 },
    },
  ),
  entry(at('UDP', '10.0.0.1', 98), {
    scheduler: 'mh',
    persistence: { seconds: 5, prefixLength: 32 },
    flags: ['mh-fallback', 'mh-port', 'ops'],
  }),
  entry(at('UDP', '10.0.0.1', 97), { scheduler: 'wrr', flags: ['flag-1', 'flag-3'] }),
];
