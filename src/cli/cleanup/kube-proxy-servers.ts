import {
  cidrContains,
  families,
  familyOf,
  isIpv6LinkLocal,
  type Cidr,
  type Family,
  type IpAddress,
} from '../../base/ip.js';
import { IpsetClient } from '../../kernel/ipset/client.js';
import { kubeProxyNodePortSet } from '../../model/kube-proxy-names.js';
import { defaultInstance } from '../../model/instance-names.js';
import type { Protocol } from '../../base/protocol.js';
import type { VirtualServerIdentity } from '../../model/virtual-server.js';
import type { KernelClients } from '../kernel/kernel-clients.js';
import { ifSupported, virtualServersInOrder } from './removal.js';

/** The default range of node ports of the API server. */
const defaultNodePorts = { first: 30_000, last: 32_767 } as const;

/** The virtual servers of kube-proxy on a node without kube-ipvs. */
export interface KubeProxyServers {
  readonly virtualServers: readonly VirtualServerIdentity[];
  /** Those that are taken for node ports because of their address and port: the ipset that lists node ports no longer exists. */
  readonly assumed: readonly VirtualServerIdentity[];
  readonly foreign: readonly VirtualServerIdentity[];
  /** The dummy device kube-ipvs0. */
  readonly dummy: { readonly index: number; readonly addresses: number } | undefined;
}

/** `assumed`: kube-proxy, judging by address and port. */
type Owner = 'kube-proxy' | 'assumed' | 'others';

type NodePorts = (family: Family, protocol: Protocol) => ReadonlySet<number> | undefined;

/** The node ports in kube-proxy's ipsets; undefined where the ipset no longer exists. */
const readNodePorts = async (): Promise<NodePorts> => {
  const found = await ifSupported(() => {
    using ipset = IpsetClient.open();
    const names = new Set(ipset.names());
    const sets = families
      .flatMap((family) =>
        (['TCP', 'UDP', 'SCTP'] as const).map((protocol) => kubeProxyNodePortSet(family, protocol)),
      )
      .filter((name) => names.has(name));
    return new Map(sets.map((name) => [name, new Set(ipset.ports(name))]));
  });
  return (family, protocol) => found?.get(kubeProxyNodePortSet(family, protocol));
};

export const readKubeProxyServers = async (
  { ipvs, route }: KernelClients,
  excludeCidrs: readonly Cidr[],
): Promise<KubeProxyServers> => {
  const all = await virtualServersInOrder(ipvs);
  const link = await route.link(defaultInstance.dummyInterface);
  if (link?.kind !== 'dummy') return { virtualServers: [], assumed: [], foreign: all, dummy: undefined };
  const addresses = await route.addresses();
  const bound = addresses.filter(
    ({ interfaceIndex, address }) => interfaceIndex === link.index && !isIpv6LinkLocal(address),
  );
  const onDummy = new Set<IpAddress>(bound.map(({ address }) => address));
  const onNode = new Set<IpAddress>(addresses.map(({ address }) => address));
  const nodePorts = await readNodePorts();

  const ownerOf = (identity: VirtualServerIdentity): Owner => {
    if (identity.by !== 'address') return 'others';
    const { protocol, address, port } = identity;
    if (excludeCidrs.some((cidr) => cidrContains(cidr, address))) return 'others';
    if (onDummy.has(address)) return 'kube-proxy';
    if (!onNode.has(address)) return 'others';
    const knownPorts = nodePorts(familyOf(address), protocol);
    if (knownPorts !== undefined) return knownPorts.has(port) ? 'kube-proxy' : 'others';
    return port >= defaultNodePorts.first && port <= defaultNodePorts.last ? 'assumed' : 'others';
  };
  const owned = all.map((identity) => ({ identity, owner: ownerOf(identity) }));
  const ownedBy = (owners: readonly Owner[]): readonly VirtualServerIdentity[] =>
    owned.filter(({ owner }) => owners.includes(owner)).map(({ identity }) => identity);
  return {
    virtualServers: ownedBy(['kube-proxy', 'assumed']),
    assumed: ownedBy(['assumed']),
    foreign: ownedBy(['others']),
    dummy: { index: link.index, addresses: bound.length },
  };
};
