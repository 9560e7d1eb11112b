import { readKubeProxyConfiguration, type KubeProxyConfiguration } from './kube-proxy-configuration.js';

/** Fields that kube-ipvs reads and does not act on yet. */
const notYet: readonly string[] = [
  'bindAddressHardFail',
  'configSyncPeriod',
  'enableProfiling',
  'healthzBindAddress',
  'logging.flushFrequency',
  'logging.format',
  'logging.options',
  'logging.vmodule',
  'metricsBindAddress',
  'oomScoreAdj',
  'showHiddenMetricsForVersion',
];

/** Fields that mean nothing to the IPVS mode on Linux. */
const notHere: readonly string[] = [
  'clientConnection.acceptContentTypes',
  'clientConnection.contentType',
  'iptables.localhostNodePorts',
  'iptables.minSyncPeriod',
  'iptables.syncPeriod',
  'nftables',
  'portRange',
  'windowsRunAsService',
  'winkernel',
];

/** Whether a field of the configuration, as `conntrack.min`, has no effect in this version. */
export const hasNoEffectYet = (field: string): boolean =>
  notYet.some((known) => field === known || field.startsWith(`${known}.`));

/** The value at a path like `ipvs.syncPeriod`; undefined where there is none. */
export const fieldOf = (value: unknown, path: string): unknown =>
  path
    .split('.')
    .reduce<unknown>((inner, step) => (inner as Record<string, unknown> | undefined)?.[step], value);

const changed = (configuration: KubeProxyConfiguration, fields: readonly string[]): readonly string[] => {
  const defaults = readKubeProxyConfiguration({}).value;
  return fields.filter(
    (field) => JSON.stringify(fieldOf(configuration, field)) !== JSON.stringify(fieldOf(defaults, field)),
  );
};

/** At most two lines that name the fields somebody has set and that do nothing. */
export const notActingWarnings = (configuration: KubeProxyConfiguration): readonly string[] => {
  const later = changed(configuration, notYet);
  const never = changed(configuration, notHere);
  return [
    ...(later.length === 0
      ? []
      : [`set, but without effect in this version of kube-ipvs: ${later.join(', ')}`]),
    ...(never.length === 0 ? [] : [`set, but without meaning in IPVS mode: ${never.join(', ')}`]),
  ];
};
