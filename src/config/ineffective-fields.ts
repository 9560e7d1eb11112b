import {
  readKubeProxyConfiguration,
  type KubeProxyConfiguration,
} from './schema/kube-proxy-configuration.js';

/** Fields without an effect in kube-ipvs, with the reason (the end of a sentence). */
const ineffectiveFields: readonly { readonly fields: readonly string[]; readonly because: string }[] = [
  { fields: ['configSyncPeriod'], because: 'watches do not repeat objects' },
  {
    fields: ['logging.flushFrequency', 'logging.options'],
    because: 'log lines are written to standard error immediately',
  },
  { fields: ['logging.vmodule'], because: 'logging.verbosity applies to all of kube-ipvs' },
  { fields: ['showHiddenMetricsForVersion'], because: 'kube-ipvs hides no metrics' },
  {
    fields: ['iptables.localhostNodePorts', 'iptables.minSyncPeriod', 'iptables.syncPeriod'],
    because: 'only the iptables mode uses it',
  },
  { fields: ['nftables'], because: 'only the nftables mode uses it' },
  { fields: ['winkernel', 'windowsRunAsService'], because: 'only kube-proxy on Windows uses it' },
  { fields: ['portRange'], because: 'only the removed userspace mode used it' },
];

const isWithin = (field: string, known: string): boolean => field === known || field.startsWith(`${known}.`);

/** Whether a field of the configuration never has an effect. */
export const hasNoEffect = (field: string): boolean =>
  ineffectiveFields.some(({ fields }) => fields.some((known) => isWithin(field, known)));

/** The value at a path such as `ipvs.syncPeriod`; undefined if there is none. */
export const fieldOf = (value: unknown, path: string): unknown =>
  path
    .split('.')
    .reduce<unknown>((inner, step) => (inner as Record<string, unknown> | undefined)?.[step], value);

/** A warning for each reason why configured fields have no effect. */
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
