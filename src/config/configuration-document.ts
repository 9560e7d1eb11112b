import { createHash } from 'node:crypto';
import { familyOf, hostPrefixLength, isLoopback, isUnspecified, parseIp, type Cidr } from '../base/ip.js';
import { formatYaml } from '../base/yaml.js';
import { documentKinds } from './configuration-file.js';
import { formatDuration } from '../base/duration.js';
import type { KubeProxyConfiguration } from './schema/kube-proxy-configuration.js';
import type { Settings } from './settings.js';
import { splitHostPort } from './validate-configuration.js';

type Plain = Readonly<Record<string, unknown>>;

/** Fields whose numbers are milliseconds. */
const isDuration = (field: string): boolean =>
  /(Period|Timeout|Frequency|[dD]eadline|slowStart|quarantine)$/.test(field);

const isCidr = (value: object): value is Cidr => 'prefixLength' in value && 'text' in value;

/** A value of a configuration as in a file; keys in alphabetical order, as kube-proxy writes them. */
const toPlain = (value: unknown, field: string): unknown => {
  if (typeof value === 'number') return isDuration(field) ? formatDuration(value) : value;
  if (Array.isArray(value)) return value.map((item) => toPlain(item, field));
  if (typeof value !== 'object' || value === null) return value;
  if (isCidr(value)) return value.text;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, toPlain(inner, key)]),
  );
};

const documentOf = (kind: keyof typeof documentKinds, configuration: object): Plain =>
  toPlain({ ...configuration, apiVersion: documentKinds[kind].apiVersion, kind }, '') as Plain;

/** The KubeProxyConfiguration of the settings as in a file, with all defaults. */
export const kubeProxyDocument = ({ configuration }: Pick<Settings, 'configuration'>): Plain =>
  documentOf('KubeProxyConfiguration', configuration);

/** The same for the KubeIpvsConfiguration. */
export const kubeIpvsDocument = ({ kubeIpvs }: Pick<Settings, 'kubeIpvs'>): Plain =>
  documentOf('KubeIpvsConfiguration', kubeIpvs);

/** The documents of one YAML file. */
export const yamlDocuments = (documents: readonly Plain[]): string => documents.map(formatYaml).join('---\n');

/** A placeholder for the values of the downward API: the name and the addresses of the node. */
const nodeSpecific = '(of the node)';

const isOfOneNode = (text: string): boolean => {
  const address = parseIp(text);
  return address !== undefined && !isUnspecified(address) && !isLoopback(address);
};

const withoutNodeAddress = (endpoint: string): string => {
  const [address, port] = splitHostPort(endpoint) ?? ['', ''];
  return isOfOneNode(address) ? `${nodeSpecific}:${port}` : endpoint;
};

const isHost = ({ address, prefixLength }: Cidr): boolean =>
  prefixLength === hostPrefixLength(familyOf(address)) && isOfOneNode(address);

/** The configuration that all nodes of a DaemonSet share. */
const withoutNodeSpecifics = (configuration: KubeProxyConfiguration): object => ({
  ...configuration,
  hostnameOverride: nodeSpecific,
  bindAddress: isOfOneNode(configuration.bindAddress) ? nodeSpecific : configuration.bindAddress,
  healthzBindAddress: withoutNodeAddress(configuration.healthzBindAddress),
  metricsBindAddress: withoutNodeAddress(configuration.metricsBindAddress),
  nodePortAddresses: configuration.nodePortAddresses.map((network) =>
    network !== 'primary' && isHost(network) ? nodeSpecific : network,
  ),
});

/**
 * Twelve hexadecimal digits that differ if the effective configuration differs. Names and addresses of single nodes do not
 * count.
 */
export const configDigest = ({
  configuration,
  kubeIpvs,
}: Pick<Settings, 'configuration' | 'kubeIpvs'>): string =>
  createHash('sha256')
    .update(
      JSON.stringify([
        documentOf('KubeProxyConfiguration', withoutNodeSpecifics(configuration)),
        documentOf('KubeIpvsConfiguration', kubeIpvs),
      ]),
    )
    .digest('hex')
    .slice(0, 12);
