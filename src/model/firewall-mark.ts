import { fnv1a } from '../base/fnv.js';
import type { Family } from '../base/ip.js';
import type { Protocol } from '../base/protocol.js';
import type { ServiceKey, ServicePort } from './service.js';

/**
 * The layout of the firewall marks of kube-ipvs: bits 8 to 11 are 1, 12 and 13 are the protocol, 14 and 15 (the
 * marks of kubelet and kube-proxy) are 0, bit 31 is 0 (ipvsadm prints marks with a sign), and the other 23 bits are a
 * hash, or a node port and its protocol where bits 12 and 13 are 0. Calico's marks have zeros in bits 0 to 15, and
 * Cilium's have other values in bits 8 to 11, so no mark of theirs looks like one of these.
 */
export const firewallMarkLayout = { mask: 0x8000_cf00, value: 0x0100 } as const;

const protocolShift = 12;
const protocolNumbers: Readonly<Record<Protocol, number>> = { TCP: 1, UDP: 2, SCTP: 3 };
const byNumber: readonly (Protocol | undefined)[] = [undefined, 'TCP', 'UDP', 'SCTP'];

/**
 * The firewall mark of a Service port in one family. It depends on nothing else, so every process computes the same
 * one. Two Service ports may get the same mark, once in 8 million pairs.
 */
export const firewallMark = (
  service: ServiceKey,
  { protocol, port }: Pick<ServicePort, 'protocol' | 'port'>,
  family: Family,
): number => {
  const hash = fnv1a(new TextEncoder().encode(`${service} ${protocol} ${port} ${family}`));
  const spread = (hash ^ (hash >>> 23)) & 0x7f_ffff;
  const bits = ((spread >>> 8) << 16) | (spread & 0xff);
  return (bits | (protocolNumbers[protocol] << protocolShift) | firewallMarkLayout.value) >>> 0;
};

/** A node port of a Service. Only one Service of a cluster has it. */
export interface NodePort {
  readonly protocol: Protocol;
  readonly port: number;
}

const nodePortProtocolShift = 24;

/** The firewall mark of a node port. No two node ports have the same one, and no hash is equal to it. */
export const nodePortMark = ({ protocol, port }: NodePort): number =>
  (protocolNumbers[protocol] << nodePortProtocolShift) |
  ((port >>> 8) << 16) |
  firewallMarkLayout.value |
  (port & 0xff);

/** The node port of a firewall mark; undefined for any other mark. */
export const nodePortOfMark = (mark: number): NodePort | undefined => {
  const protocol = byNumber[(mark >>> nodePortProtocolShift) & 3];
  if (protocol === undefined) return undefined;
  const nodePort = { protocol, port: (((mark >>> 16) & 0xff) << 8) | (mark & 0xff) };
  return nodePortMark(nodePort) === mark ? nodePort : undefined;
};

/** The protocol of a firewall mark of kube-ipvs; undefined for any other mark. */
export const protocolOfMark = (mark: number): Protocol | undefined =>
  (mark & firewallMarkLayout.mask) >>> 0 === firewallMarkLayout.value
    ? (byNumber[(mark >>> protocolShift) & 3] ?? nodePortOfMark(mark)?.protocol)
    : undefined;
