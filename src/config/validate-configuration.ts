import { cidrFamily, parseCidr, parseIp, type Cidr } from '../base/ip.js';
import { formatDuration } from '../base/duration.js';
import { serviceProxyNameRequirement } from '../model/instance-names.js';
import { connectionSyncProblems } from './kube-ipvs/connection-sync.js';
import { isPersistence, maximumPersistenceSeconds } from '../model/settings/service-settings.js';
import { gateEnabled, lockedGateProblems } from './feature-gates.js';
import type { KubeIpvsConfiguration } from './schema/kube-ipvs-configuration.js';
import type { KubeProxyConfiguration } from './schema/kube-proxy-configuration.js';
import type { ConfigurationProblem } from './schema/read-configuration.js';

type Check = (configuration: KubeProxyConfiguration) => readonly ConfigurationProblem[];

const unless = (
  isValid: boolean,
  path: ConfigurationProblem['path'],
  must: string,
): readonly ConfigurationProblem[] => (isValid ? [] : [{ path, must }]);

const modeCheck: Check = ({ mode }) => {
  if (mode === 'ipvs') return [];
  const meaning = mode === '' ? 'In kube-proxy an empty mode means iptables. ' : '';
  return [
    {
      path: ['mode'],
      must: 'must be ipvs',
      remedy:
        `${meaning}kube-ipvs replaces kube-proxy in IPVS mode only: ` +
        'set "mode: ipvs" (without a file: --proxy-mode=ipvs) to use it on this node, or keep kube-proxy here',
    },
  ];
};

const periodsCheck: Check = ({ ipvs, configSyncPeriod, logging }) => [
  ...unless(ipvs.syncPeriod > 0, ['ipvs', 'syncPeriod'], 'must be more than 0s'),
  ...unless(ipvs.minSyncPeriod >= 0, ['ipvs', 'minSyncPeriod'], 'must be 0s or more'),
  ...unless(
    ipvs.syncPeriod <= 0 || ipvs.syncPeriod >= ipvs.minSyncPeriod,
    ['ipvs', 'syncPeriod'],
    `must be at least ipvs.minSyncPeriod, which is ${formatDuration(ipvs.minSyncPeriod)}`,
  ),
  ...unless(configSyncPeriod > 0, ['configSyncPeriod'], 'must be more than 0s'),
  ...unless(logging.flushFrequency > 0, ['logging', 'flushFrequency'], 'must be more than 0s'),
];

const timeoutsCheck: Check = ({ ipvs, conntrack }) => [
  ...(['tcpTimeout', 'tcpFinTimeout', 'udpTimeout'] as const).flatMap((field) =>
    unless(ipvs[field] >= 0, ['ipvs', field], "must be 0s (do not change the kernel's) or more"),
  ),
  ...(['tcpEstablishedTimeout', 'tcpCloseWaitTimeout', 'udpTimeout', 'udpStreamTimeout'] as const).flatMap(
    (field) =>
      unless(conntrack[field] >= 0, ['conntrack', field], "must be 0s (do not change the kernel's) or more"),
  ),
];

const loggingCheck: Check = ({ logging, featureGates }) => [
  ...unless(
    logging.vmodule.length === 0 || logging.format === 'text',
    ['logging', 'vmodule'],
    'must be empty if logging.format is json',
  ),
  ...unless(
    logging.format !== 'json' || gateEnabled(featureGates, 'LoggingBetaOptions'),
    ['logging', 'format'],
    'must be text while the feature gate LoggingBetaOptions is off',
  ),
  ...(['text', 'json'] as const).flatMap((format) => {
    const options = logging.options[format];
    const plain = !options.splitStream && Number.parseFloat(options.infoBufferSize) === 0;
    return unless(
      plain || gateEnabled(featureGates, 'LoggingAlphaOptions'),
      ['logging', 'options', format],
      'must be left at its defaults unless the feature gate LoggingAlphaOptions is on',
    );
  }),
];

/** `[address, port]` of `IP:port` or `[IP]:port`. */
export const splitHostPort = (text: string): readonly [string, string] | undefined => {
  const match = /^\[([^\]]*)\]:([^:]*)$/.exec(text) ?? /^([^:[\]]*):([^:]*)$/.exec(text);
  return match === null ? undefined : [match[1] ?? '', match[2] ?? ''];
};

const socketRequirement = (text: string): string | undefined => {
  const parts = splitHostPort(text);
  if (parts === undefined) return 'must be IP:port, such as "0.0.0.0:10256" or "[::]:10256"';
  if (parseIp(parts[0]) === undefined) return 'must have a valid IP address before the port';
  const port = Number(parts[1]);
  return /^\d+$/.test(parts[1]) && port >= 1 && port <= 65535
    ? undefined
    : 'must have a port from 1 to 65535';
};

const socketsCheck: Check = (configuration) =>
  (['healthzBindAddress', 'metricsBindAddress'] as const).flatMap((field) => {
    if (field === 'healthzBindAddress' && configuration[field] === '') return []; // turned off
    const must = socketRequirement(configuration[field]);
    return must === undefined ? [] : [{ path: [field], must }];
  });

/** The networks of kube-proxy's `clusterCIDR`, a comma-separated list without spaces; undefined if one is invalid. */
export const parseClusterCidrs = (text: string): readonly Cidr[] | undefined => {
  if (text === '') return [];
  const cidrs = text.split(',').map(parseCidr);
  return cidrs.every((cidr) => cidr !== undefined) ? cidrs : undefined;
};

const clusterCidrRequirement = (text: string): string | undefined => {
  const cidrs = parseClusterCidrs(text);
  if (cidrs === undefined)
    return 'must be one network, or an IPv4 and an IPv6 network separated by a comma without spaces, such as "10.244.0.0/16,fd00:10:244::/56"';
  const [first, other] = cidrs;
  if (
    cidrs.length > 2 ||
    (first !== undefined && other !== undefined && cidrFamily(first) === cidrFamily(other))
  )
    return 'must be one network, or an IPv4 and an IPv6 network';
  return undefined;
};

/** IFNAMSIZ of include/uapi/linux/if.h, without the terminating zero. */
const longestInterfaceName = 15;

/** A warning for a name that no interface can have. kube-proxy accepts it, so it is no problem. */
export const interfaceNameWarnings = ({
  detectLocalMode,
  detectLocal,
}: KubeProxyConfiguration): readonly string[] => {
  const fields = { BridgeInterface: 'bridgeInterface', InterfaceNamePrefix: 'interfaceNamePrefix' } as const;
  if (detectLocalMode !== 'BridgeInterface' && detectLocalMode !== 'InterfaceNamePrefix') return [];
  const field = fields[detectLocalMode];
  const bytes = Buffer.byteLength(detectLocal[field]);
  if (bytes <= longestInterfaceName) return [];
  return [
    `detectLocal.${field} never matches: it has ${bytes} bytes, and an interface name has at most ${longestInterfaceName}. ` +
      'No traffic is recognized as coming from a pod of this node, and all connections to ClusterIPs are masqueraded',
  ];
};

const detectLocalCheck: Check = ({ detectLocalMode, detectLocal, clusterCIDR }) => {
  switch (detectLocalMode) {
    case 'BridgeInterface':
      return unless(
        detectLocal.bridgeInterface !== '',
        ['detectLocal', 'bridgeInterface'],
        'must name an interface if detectLocalMode is BridgeInterface',
      );
    case 'InterfaceNamePrefix':
      return unless(
        detectLocal.interfaceNamePrefix !== '',
        ['detectLocal', 'interfaceNamePrefix'],
        'must be a name prefix if detectLocalMode is InterfaceNamePrefix',
      );
    case 'NodeCIDR':
      return [];
    default: {
      const must = clusterCidrRequirement(clusterCIDR);
      return must === undefined ? [] : [{ path: ['clusterCIDR'], must }];
    }
  }
};

const remainingChecks: Check = ({ nodePortAddresses, hostnameOverride, showHiddenMetricsForVersion }) => [
  ...unless(
    !nodePortAddresses.includes('primary') || nodePortAddresses.length === 1,
    ['nodePortAddresses'],
    'must contain either "primary" alone or only networks',
  ),
  ...unless(
    hostnameOverride === '' || hostnameOverride.trim() !== '',
    ['hostnameOverride'],
    'must not be blank; omit it to use the host name',
  ),
  ...unless(
    ['', '1.35'].includes(showHiddenMetricsForVersion),
    ['showHiddenMetricsForVersion'],
    'must be empty or "1.35", the previous minor version',
  ),
];

const checks: readonly Check[] = [
  modeCheck,
  periodsCheck,
  timeoutsCheck,
  loggingCheck,
  socketsCheck,
  detectLocalCheck,
  remainingChecks,
  ({ featureGates }) => lockedGateProblems(featureGates),
];

/** Checks fields against each other, and the mode of kube-proxy (kube-proxy-ipvs §1.2). */
export const validateKubeProxy = (configuration: KubeProxyConfiguration): readonly ConfigurationProblem[] =>
  checks.flatMap((check) => check(configuration));

const servicesProblems = ({
  services: { persistenceTimeout, upperThreshold, lowerThreshold },
}: KubeIpvsConfiguration): readonly ConfigurationProblem[] => [
  ...unless(
    isPersistence(persistenceTimeout / 1e3),
    ['services', 'persistenceTimeout'],
    `must be whole seconds, at most ${maximumPersistenceSeconds / 3600}h, or 0s for no persistence`,
  ),
  ...unless(
    upperThreshold === 0 || lowerThreshold <= upperThreshold,
    ['services', 'lowerThreshold'],
    `must be at most services.upperThreshold, which is ${upperThreshold}`,
  ),
];

/** The same for the KubeIpvsConfiguration. */
export const validateKubeIpvs = (configuration: KubeIpvsConfiguration): readonly ConfigurationProblem[] => {
  const { drain, serviceProxyName, services } = configuration;
  const must = serviceProxyNameRequirement(serviceProxyName);
  return [
    ...servicesProblems(configuration),
    ...(['deadline', 'udpDeadline', 'sctpDeadline'] as const).flatMap((field) =>
      unless(drain[field] >= 0, ['drain', field], 'must be 0s (no draining) or more'),
    ),
    ...(['slowStart', 'quarantine'] as const).flatMap((field) =>
      unless(services[field] >= 0, ['services', field], 'must be 0s (off) or more'),
    ),
    ...(must === undefined ? [] : [{ path: ['serviceProxyName'], must }]),
    ...connectionSyncProblems(configuration),
  ];
};
