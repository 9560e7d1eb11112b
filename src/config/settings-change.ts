import { fieldOf, hasNoEffect } from './ineffective-fields.js';
import { kubeIpvsDocument, kubeProxyDocument } from './configuration-document.js';
import type { KubeProxyConfiguration } from './schema/kube-proxy-configuration.js';
import { withConfiguration, type Settings } from './settings.js';

/** Fields that take effect at the start only: listeners, the node name, the instance, and the connection to the API server. */
const fixedFields: readonly string[] = [
  'bindAddressHardFail',
  'clientConnection.kubeconfig',
  'healthzBindAddress',
  'hostnameOverride',
  'metricsBindAddress',
  'serviceProxyName',
];

/** What a changed configuration changes in a running process. */
export interface SettingsChange {
  /** The settings to apply; fields that need a restart are unchanged. */
  readonly settings: Settings;
  /** Fields that change now, such as `ipvs.scheduler: "rr" → "lc"`. */
  readonly changed: readonly string[];
  /** Fields that need a restart, in the same form. */
  readonly fixed: readonly string[];
}

type Leaves = ReadonlyMap<string, string>;

const leavesOf = (value: unknown, path: string): readonly (readonly [string, string])[] =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.entries(value).flatMap(([key, inner]) => leavesOf(inner, path === '' ? key : `${path}.${key}`))
    : [[path, JSON.stringify(value)]];

const fieldsOf = (settings: Settings): Leaves =>
  new Map([...leavesOf(kubeProxyDocument(settings), ''), ...leavesOf(kubeIpvsDocument(settings), '')]);

const differences = (before: Leaves, after: Leaves): readonly (readonly [string, string])[] =>
  [...new Set([...before.keys(), ...after.keys()])]
    .toSorted()
    .filter((field) => before.get(field) !== after.get(field) && !hasNoEffect(field))
    .map((field) => [
      field,
      `${field}: ${before.get(field) ?? 'its default'} → ${after.get(field) ?? 'its default'}`,
    ]);

/** The configuration with the previous values of these fields. */
const withFields = (
  configuration: KubeProxyConfiguration,
  before: KubeProxyConfiguration,
  fields: readonly string[],
): KubeProxyConfiguration => {
  const copy = structuredClone(configuration);
  for (const field of fields) {
    const steps = field.split('.');
    const last = steps.pop() ?? '';
    const parent = (steps.length === 0 ? copy : fieldOf(copy, steps.join('.'))) as Record<string, unknown>;
    const value = fieldOf(before, field);
    if (value === undefined) delete parent[last];
    else parent[last] = value;
  }
  return copy;
};

/** Compares a new configuration with the settings in force. */
export const settingsChange = (before: Settings, next: Settings): SettingsChange => {
  const all = differences(fieldsOf(before), fieldsOf(next));
  const isFixed = ([field]: readonly [string, string]): boolean => fixedFields.includes(field);
  const fixed = all.filter(isFixed);
  const configuration = withFields(
    next.configuration,
    before.configuration,
    fixed.map(([field]) => field),
  );
  const { nodeName, names, adminSocket } = before;
  const kubeIpvs = { ...next.kubeIpvs, serviceProxyName: names.serviceProxyName };
  return {
    settings: withConfiguration({ ...next, nodeName, names, adminSocket, kubeIpvs }, configuration),
    changed: all.filter((difference) => !isFixed(difference)).map(([, text]) => text),
    fixed: fixed.map(([, text]) => text),
  };
};
