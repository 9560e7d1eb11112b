import { existsSync, readFileSync } from 'node:fs';
import { families, type Family } from '../base/ip.js';

const ipv6Addresses = '/proc/net/if_inet6';
const ipv6Switch = '/proc/sys/net/ipv6/conf/all/disable_ipv6';

const hasIpv6 = (): boolean =>
  existsSync(ipv6Addresses) && existsSync(ipv6Switch) && readFileSync(ipv6Switch, 'utf8').trim() !== '1';

/** The families that this kernel supports: without IPv6 where it is missing or disabled (kube-proxy-ipvs §1.12). */
export const servedFamilies = (): readonly Family[] =>
  families.filter((family) => family === 'IPv4' || hasIpv6());
