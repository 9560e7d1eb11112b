import { readKubeProxyConfiguration, type KubeProxyConfiguration } from './kube-proxy-configuration.js';

/** Fields that mean nothing to kube-ipvs, with the reason: the end of a sentence. */
const ineffectiveFields: readonly { readonly fields: readonly string[]; readonly because: string }[] = [
  {
    fields: ['clientConnection.acceptContentTypes', 'clientConnection.contentType'],
    because: 'the API server is always asked for JSON',
  },
  { fields: ['configSyncPeriod'], because: 'what a watch has delivered is not delivered again' },
  {
    fields: ['logging.flushFrequency', 'logging.options'],
    because: 'each line of the log is written at once, to standard error',
  },
  { fields: ['logging.vmodule'], because: 'logging.verbosity counts for all of kube-ipvs' },
  { fields: ['showHiddenMetricsForVersion'], because: 'kube-ipvs hides no metrics' },
  {
    fields: ['iptables.localhostNodePorts', 'iptables.minSyncPeriod', 'iptables.syncPeriod'],
    because: 'it belongs to the iptables mode',
  },
  { fields: ['nftables'], because: 'it belongs to the nftables mode' },
  { fields: ['winkernel', 'windowsRunAsService'], because: 'it belongs to Windows' },
  { fields: ['portRange'], because: 'it belongs to the userspace mode, which is gone' },
];

const isWithin = (field: string, known: string): boolean => field === known || field.startsWith(`${known}.`);

/** Whether a field of the configuration never has an effect here. */
export const hasNoEffect = (field: string): boolean =>
  ineffectiveFields.some(({ fields }) => fields.some((known) => isWithin(field, known)));

/** The value at a path like `ipvs.syncPeriod`; undefined where there is none. */
export const fieldOf = (value: unknown, path: string): unknown =>
  path
    .split('.')
    .reduce<unknown>((inner, step) => (inner as Record<string, unknown> | undefined)?.[step], value);

/** A line for each reason why fields that somebody has set do nothing. */
export const ineffectiveFieldWarnings = (configuration: KubeProxyConfiguration): readonly string[] => {
  const defaults = readKubeProxyConfiguration({}).value;
  const isSet = (field: string): boolean =>
    JSON.stringify(fieldOf(configuration, field)) !== JSON.stringify(fieldOf(defaults, field));
  return ineffectiveFields.flatMap(({ fields, because }) => {
    const set = fields.filter(isSet);
    if (set.length === 0) return [];
    return [`${set.join(', ')} ${set.length === 1 ? 'has' : 'have'} no effect: ${because}`];
  });
};
