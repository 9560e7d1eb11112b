import type { Family } from '../../base/ip.js';
import type { ConfigurationProblem } from '../schema/read-configuration.js';
import type { KubeIpvsConfiguration } from '../schema/kube-ipvs-configuration.js';

/** How nodes synchronize the connections of IPVS. Times are milliseconds. */
export interface ConnectionSyncSettings extends Omit<Configured, 'ipFamily'> {
  readonly ipFamily: Family;
}

type Configured = Readonly<KubeIpvsConfiguration['connectionSync']>;

/** Undefined: connections are not synchronized. */
export const connectionSyncSettings = ({
  connectionSync,
}: KubeIpvsConfiguration): ConnectionSyncSettings | undefined =>
  connectionSync.interface === '' ? undefined : connectionSync;

/** IP_VS_IFNAME_MAXLEN of include/uapi/linux/ip_vs.h, without the terminating zero. */
const longestInterfaceName = 15;

const isInterfaceName = (name: string): boolean =>
  Buffer.byteLength(name) <= longestInterfaceName && /^[^\s/:]+$/.test(name) && name !== '.' && name !== '..';

/** The requirements that fields have together. */
export const connectionSyncProblems = ({
  connectionSync: { interface: name, packetInterval, packetThreshold, port, threads, refreshPeriod },
}: KubeIpvsConfiguration): readonly ConfigurationProblem[] => {
  const problems: ConfigurationProblem[] = [];
  const require = (isValid: boolean, field: string, must: string): void => {
    if (!isValid) problems.push({ path: ['connectionSync', field], must });
  };
  require(name === '' ||
    isInterfaceName(name), 'interface', 'must be the name of an interface, at most 15 bytes long');
  require(refreshPeriod >= 0, 'refreshPeriod', 'must be 0s (do not repeat) or more');
  require((threads & (threads - 1)) === 0, 'threads', 'must be a power of two, such as 1, 2, 4 or 8');
  require(port + threads - 1 <=
    65_535, 'port', `must leave ${threads} ports up to 65535, one for each thread`);
  require(packetInterval === 0 ||
    packetThreshold <
      packetInterval, 'packetThreshold', `must be below connectionSync.packetInterval, which is ${packetInterval}`);
  return problems;
};
