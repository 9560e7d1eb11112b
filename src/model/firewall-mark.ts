import { fnv1a } from '../base/fnv.js';
import type { Family } from '../base/ip.js';
import type { Protocol } from '../base/protocol.js';
import type { ServiceKey, ServicePort } from './service.js';

/**
 * The layout of the firewall marks of kube-ipvs: bits 8 to 11 are 1, 12 and 13 are the protocol, 14 and 15 (the
 * marks of kubelet and kube-proxy) are 0, bit 31 is 0 (ipvsadm prints marks with a sign), and the other 23 bits are a
 * hash. Calico's marks have zeros in bits 0 to 15, and Cilium's have other values in bits 8 to 11, so no mark of theirs
 * looks like one of these.
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

/** The protocol of a firewall mark of kube-ipvs; undefined for any other mark. */
export const protocolOfMark = (mark: number): Protocol | undefined =>
  (mark & firewallMarkLayout.mask) >>> 0 === firewallMarkLayout.value
    ? byNumber[(mark >>> protocolShift) & 3]
    : undefined;
