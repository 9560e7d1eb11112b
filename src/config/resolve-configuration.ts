import { parseIp } from '../base/ip.js';
import { formatDuration } from '../base/duration.js';
import type { PaceSettings } from '../model/pace.js';
import type { ServiceAnnotations } from '../model/settings/service-annotations.js';
import type { DocumentPath } from '../base/yaml.js';
import { documentOrigin, readAndValidate, type ConfigDocument, type Origin } from './configuration-file.js';
import { gateWarnings } from './feature-gates.js';
import type { Flag } from './flag.js';
import { flagTable } from './flag-table.js';
import { toFieldValue, flagText, type FlagValues } from './parse-flags.js';
import {
  fullActions,
  persistenceNetmaskSyntax,
  type ServiceSettings,
} from '../model/settings/service-settings.js';
import {
  readKubeProxyConfiguration,
  type KubeProxyConfiguration,
} from './schema/kube-proxy-configuration.js';
import type { KubeIpvsConfiguration } from './schema/kube-ipvs-configuration.js';
import { fieldOf, ineffectiveFieldWarnings } from './ineffective-fields.js';
import { interfaceNameWarnings, validateKubeProxy } from './validate-configuration.js';

type Mapping = Record<string, unknown>;

const setField = (target: Mapping, field: string, value: unknown): void => {
  const steps = field.split('.');
  const last = steps.pop() ?? '';
  let parent = target;
  for (const step of steps) {
    const inner = parent[step];
    // A section that is not a mapping is left as it is: the schema rejects it.
    if (inner !== undefined && inner !== null && (typeof inner !== 'object' || Array.isArray(inner))) return;
    parent[step] = { ...(inner as Mapping | undefined) };
    parent = parent[step] as Mapping;
  }
  // kube-proxy puts --vmodule before the entries of the file.
  parent[last] =
    field === 'logging.vmodule' && Array.isArray(parent[last]) ? [value, parent[last]].flat() : value;
};

/** The flags that apply: all without a file, those of §1.3 with one. */
const fieldFlags = (flags: FlagValues, hasFile: boolean): readonly (Flag & { readonly field: string })[] =>
  flagTable
    .filter((flag): flag is Flag & { readonly field: string } => flag.field !== undefined)
    .filter((flag) => flags.has(flag.name) && (!hasFile || flag.appliesWithFile));

const flagOf = (
  used: readonly (Flag & { readonly field: string })[],
  path: DocumentPath,
): Flag | undefined => {
  const text = path.join('.');
  return used.find(({ field }) => text === field || text.startsWith(`${field}.`));
};

/**
 * The KubeProxyConfiguration of the flags and the document, with its warnings. Throws an InputError that names every
 * invalid value by its flag or line.
 */
export const resolveConfiguration = (
  flags: FlagValues,
  document: ConfigDocument | undefined,
): { readonly configuration: KubeProxyConfiguration; readonly warnings: readonly string[] } => {
  const used = fieldFlags(flags, document !== undefined);
  // Flags alone start from kube-proxy's flag defaults, which differ from those of a file in two fields.
  const input: Mapping =
    document === undefined ? { mode: 'ipvs', ipvs: { minSyncPeriod: '1s' } } : { ...document.value };
  for (const flag of used) setField(input, flag.field, toFieldValue(flag, flags.get(flag.name) ?? []));
  const origin: Origin = (path) => {
    const flag = flagOf(used, path);
    if (flag !== undefined) return `--${flag.name}`;
    // The one default that a flag without a field can spoil.
    if (document === undefined && path[0] === 'metricsBindAddress') return '--metrics-port';
    return documentOrigin(document)(path);
  };
  const complete = (value: KubeProxyConfiguration) => withBindAddresses(value, flags, document !== undefined);
  const { value, warnings } = readAndValidate(input, {
    read: readKubeProxyConfiguration,
    validate: (read) => validateKubeProxy(complete(read)),
    origin,
  });
  const configuration = normalized(complete(value));
  return {
    configuration,
    warnings: [
      ...(document?.warnings ?? []),
      ...warnings,
      ...ignoredFlagWarnings(flags, document),
      ...deprecatedFlagWarnings(flags),
      ...gateWarnings(configuration.featureGates),
      ...ineffectiveFieldWarnings(value),
      ...interfaceNameWarnings(configuration),
    ],
  };
};

/** Whether the file sets the same value as the flag. */
const repeatsDocument = (document: ConfigDocument, flag: Flag, texts: readonly string[]): boolean =>
  flag.field !== undefined &&
  JSON.stringify(fieldOf(document.value, flag.field)) === JSON.stringify(toFieldValue(flag, texts));

const ignoredFlagWarnings = (flags: FlagValues, document: ConfigDocument | undefined): readonly string[] => {
  if (document === undefined) return [];
  const ignored = flagTable
    .filter((flag) => flags.has(flag.name) && !flag.appliesWithFile)
    .filter((flag) => !repeatsDocument(document, flag, flags.get(flag.name) ?? []))
    .map(({ name }) => `--${name}`);
  return ignored.length === 0
    ? []
    : [
        `ignored, because the fields of the configuration file apply: ${ignored.join(', ')}; set them in ${document.where([])}`,
      ];
};

const deprecatedFlagWarnings = (flags: FlagValues): readonly string[] =>
  (['healthz', 'metrics'] as const)
    .filter((server) => flags.has(`${server}-port`))
    .map((server) => `--${server}-port is deprecated; use --${server}-bind-address=IP:PORT`);

const withPort = (address: string, port: number): string => {
  if (parseIp(address) === undefined) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
};

/** As in a running kube-proxy: the name is trimmed, and empty fields have their defaults. */
const normalized = (configuration: KubeProxyConfiguration): KubeProxyConfiguration => ({
  ...configuration,
  hostnameOverride: configuration.hostnameOverride.trim(),
  detectLocalMode: configuration.detectLocalMode || 'ClusterCIDR',
});

/** Sets the addresses of the servers (kube-proxy-ipvs §1.2, §1.3). '' turns a server off. */
const withBindAddresses = (
  configuration: KubeProxyConfiguration,
  flags: FlagValues,
  fromFile: boolean,
): KubeProxyConfiguration => {
  const { bindAddress, healthzBindAddress, metricsBindAddress } = configuration;
  const ipv6 = fromFile && bindAddress.includes(':');
  const portOf = (name: string, fallback: number) =>
    fromFile ? fallback : Number(flagText(flags, name) ?? fallback);
  const address = (configured: string, fallback: string, flag: string, port: number) =>
    portOf(flag, port) === 0 ? '' : withPort(configured || fallback, portOf(flag, port));
  return {
    ...configuration,
    healthzBindAddress: address(healthzBindAddress, ipv6 ? '::' : '0.0.0.0', 'healthz-port', 10256),
    metricsBindAddress: address(metricsBindAddress, ipv6 ? '::1' : '127.0.0.1', 'metrics-port', 10249),
  };
};

/** What `services` chooses for the Services without the annotation. */
export const serviceDefaultsOf = ({ services }: KubeIpvsConfiguration): ServiceSettings => ({
  flags: services.flags ?? undefined,
  persistenceSeconds: services.persistenceTimeout / 1e3,
  persistencePrefixLengths: persistenceNetmaskSyntax.parse(services.persistenceNetmask),
  upperThreshold: services.upperThreshold,
  lowerThreshold: services.lowerThreshold,
  onFull: fullActions.find((action) => action === services.onFull),
});

/** How `services` lets weights change over time in Services without the annotations. */
export const paceDefaultsOf = ({ services }: KubeIpvsConfiguration): PaceSettings => ({
  slowStartMilliseconds: services.slowStart,
  quarantineMilliseconds: services.quarantine,
});

/** `services` as annotations would have it. */
export const serviceDefaultTexts = ({ services }: KubeIpvsConfiguration): ServiceAnnotations => ({
  ...(services.scheduler !== '' && { scheduler: services.scheduler }),
  ...(services.flags !== null && { flags: services.flags.join(',') }),
  ...(services.persistenceTimeout > 0 && {
    'persistence-timeout': formatDuration(services.persistenceTimeout),
  }),
  ...(services.persistenceNetmask !== '' && { 'persistence-netmask': services.persistenceNetmask }),
  ...(services.upperThreshold > 0 && { 'upper-threshold': String(services.upperThreshold) }),
  ...(services.lowerThreshold > 0 && { 'lower-threshold': String(services.lowerThreshold) }),
  ...(services.onFull !== '' && { 'on-full': services.onFull }),
  ...(services.slowStart > 0 && { 'slow-start': formatDuration(services.slowStart) }),
  ...(services.quarantine > 0 && { quarantine: formatDuration(services.quarantine) }),
});
