import { createHash } from 'node:crypto';
import type { Cidr } from '../base/ip.js';
import { formatYaml } from '../base/yaml.js';
import { kinds } from './configuration-file.js';
import { formatDuration } from '../base/duration.js';
import type { Settings } from './settings.js';

type Plain = Readonly<Record<string, unknown>>;

/** Fields whose numbers are milliseconds. */
const isDuration = (field: string): boolean => /(Period|Timeout|Frequency|[dD]eadline)$/.test(field);

const isCidr = (value: object): value is Cidr => 'prefixLength' in value && 'text' in value;

/** A value of a configuration as a file has it; keys in the order of the alphabet, as kube-proxy writes them. */
const plain = (value: unknown, field: string): unknown => {
  if (typeof value === 'number') return isDuration(field) ? formatDuration(value) : value;
  if (Array.isArray(value)) return value.map((item) => plain(item, field));
  if (typeof value !== 'object' || value === null) return value;
  if (isCidr(value)) return value.text;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, plain(inner, key)]),
  );
};

const documentOf = (kind: keyof typeof kinds, configuration: object): Plain =>
  plain({ ...configuration, apiVersion: kinds[kind].apiVersion, kind }, '') as Plain;

/** The KubeProxyConfiguration behind the settings, every default filled in, as a config file has it. */
export const kubeProxyDocument = ({ configuration }: Pick<Settings, 'configuration'>): Plain =>
  documentOf('KubeProxyConfiguration', configuration);

/** As kubeProxyDocument, for our own. */
export const kubeIpvsDocument = ({ own }: Pick<Settings, 'own'>): Plain =>
  documentOf('KubeIpvsConfiguration', own);

/** Documents of one YAML file. */
export const yamlDocuments = (documents: readonly Plain[]): string => documents.map(formatYaml).join('---\n');

/** Twelve hexadecimal digits that differ where the effective configuration does. */
export const configDigest = (settings: Pick<Settings, 'configuration' | 'own'>): string =>
  createHash('sha256')
    .update(JSON.stringify([kubeProxyDocument(settings), kubeIpvsDocument(settings)]))
    .digest('hex')
    .slice(0, 12);
