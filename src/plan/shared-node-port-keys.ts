import { familyOf, parseIp, type Family, type IpAddress } from '../base/ip.js';
import { protocols } from '../base/protocol.js';
import { nodePortOfMark, type NodePort } from '../model/firewall-mark.js';
import {
  virtualServerKey,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../model/virtual-server.js';
import { nodePortIdentity } from './packet-rules/packet-elements.js';

/** The node port and family of a virtual server on the firewall mark of a node port; undefined for any other key. */
export const nodePortOfKey = (
  key: VirtualServerKey,
): { readonly nodePort: NodePort; readonly family: Family } | undefined => {
  const [kind, mark, family] = key.split(' ');
  const nodePort = kind === 'FWM' ? nodePortOfMark(Number(mark)) : undefined;
  return nodePort && { nodePort, family: family === 'IPv6' ? 'IPv6' : 'IPv4' };
};

/** The virtual server on the firewall mark of a node port that would serve a frontend. */
interface NodePortServer {
  readonly server: VirtualServerKey;
  readonly address: IpAddress;
  readonly family: Family;
}

/** Reads `TCP 192.0.2.1:30080`; undefined for the key of a virtual server on a firewall mark. */
export const nodePortServerAt = (frontend: VirtualServerKey): NodePortServer | undefined => {
  const protocol = protocols.find((each) => frontend.startsWith(`${each} `));
  const colon = frontend.lastIndexOf(':');
  const address = protocol && parseIp(frontend.slice(protocol.length + 1, colon).replace(/^\[(.*)\]$/, '$1'));
  if (protocol === undefined || address === undefined) return undefined;
  const family = familyOf(address);
  const identity = nodePortIdentity({ protocol, port: Number(frontend.slice(colon + 1)) }, family);
  return { server: virtualServerKey(identity), address, family };
};

/** What a virtual server on the firewall mark of a node port serves on these addresses; nothing for any other key. */
export function* nodePortFrontendsOf(
  server: VirtualServerKey,
  addresses: Readonly<Record<Family, readonly IpAddress[]>> | undefined,
): Iterable<VirtualServerIdentity> {
  const found = addresses && nodePortOfKey(server);
  if (found === undefined) return;
  for (const address of addresses?.[found.family] ?? []) yield { by: 'address', address, ...found.nodePort };
}
