import { nearest } from './nearest.js';
import type { ConfigurationProblem } from './schema/read-configuration.js';

interface FeatureGate {
  readonly default: boolean;
  /** As in the metrics of Kubernetes; '' once the feature is generally available. */
  readonly stage: 'ALPHA' | 'BETA' | 'DEPRECATED' | '';
  readonly locked?: true;
  /** Why the gate has no effect (the end of a sentence). */
  readonly inert?: string;
}

const unused = 'nothing in kube-ipvs depends on it';

/** The feature gates of kube-proxy 1.36 and 1.37 (kube-proxy-ipvs §1.9), with their defaults. */
const gates: Readonly<Record<string, FeatureGate>> = {
  AllAlpha: { default: false, stage: 'ALPHA' },
  AllBeta: { default: false, stage: 'BETA' },
  AllowServiceExternalIPs: { default: true, stage: '' },
  ComponentFlagz: { default: true, stage: 'BETA' },
  ComponentStatusz: { default: true, stage: 'BETA' },
  ContextualLogging: { default: true, stage: 'BETA', inert: unused },
  /** Since 1.37: kube-proxy refuses the mode ipvs without it (KEP-5495). */
  KubeProxyIPVS: { default: true, stage: 'DEPRECATED', inert: 'kube-ipvs has the mode ipvs only' },
  LoggingAlphaOptions: { default: false, stage: 'ALPHA' },
  LoggingBetaOptions: { default: true, stage: 'BETA' },
  MultiCIDRServiceAllocator: { default: true, stage: '', locked: true },
  NativeHistograms: { default: false, stage: 'ALPHA', inert: unused },
  PreferSameTrafficDistribution: { default: true, stage: '', locked: true },
};

const always = 'kube-ipvs always does this';
const otherMode = 'kube-ipvs has the mode ipvs only';
const windows = 'only kube-proxy on Windows uses it';
const goClient = 'kube-ipvs does not use the Go client';

/** Gates that kube-proxy 1.31 to 1.37 has or had, without an effect in kube-ipvs, and why (the end of a sentence). */
const gatesWithoutEffect: Readonly<Record<string, string>> = {
  KubeProxyDrainingTerminatingNodes: always,
  ProxyTerminatingEndpoints: always,
  ServiceTrafficDistribution: always,
  TopologyAwareHints: always,
  NFTablesProxyMode: otherMode,
  WinDSR: windows,
  WinOverlay: windows,
  AtomicFIFO: goClient,
  ClientsAllowCBOR: goClient,
  ClientsPreferCBOR: goClient,
  InformerResourceVersion: goClient,
  UnlockWhileProcessingFIFO: goClient,
  WatchListClient: goClient,
};

/** The value that AllAlpha or AllBeta set for a gate. */
const byStage = (
  configured: Readonly<Record<string, boolean>>,
  stage: FeatureGate['stage'] | undefined,
): boolean | undefined => {
  if (stage === 'ALPHA') return configured['AllAlpha'];
  return stage === 'BETA' ? configured['AllBeta'] : undefined;
};

/** Whether a gate is on: by its own value, that of its stage, or its default. An unknown gate is off. */
export const gateEnabled = (configured: Readonly<Record<string, boolean>>, gate: string): boolean =>
  configured[gate] ?? byStage(configured, gates[gate]?.stage) ?? gates[gate]?.default ?? false;

/** All known gates, and whether they are on. */
export const featureGateStates = (
  configured: Readonly<Record<string, boolean>>,
): readonly { readonly name: string; readonly stage: string; readonly enabled: boolean }[] =>
  Object.entries(gates).map(([name, { stage }]) => ({ name, stage, enabled: gateEnabled(configured, name) }));

/** The problems of locked gates that are changed. */
export const lockedGateProblems = (
  configured: Readonly<Record<string, boolean>>,
): readonly ConfigurationProblem[] =>
  Object.entries(configured)
    .filter(([gate, value]) => gates[gate]?.locked === true && value !== gates[gate].default)
    .map(([gate]) => ({
      path: ['featureGates', gate],
      must: `must be ${gates[gate]?.default}, to which this feature is locked`,
      remedy: 'Omit it.',
    }));

const noEffect = (gate: string, because: string): string => `feature gate ${gate} has no effect: ${because}`;

/** A warning for each gate without an effect. An unknown gate may belong to a newer version, and is no error. */
export const gateWarnings = (configured: Readonly<Record<string, boolean>>): readonly string[] =>
  Object.entries(configured).flatMap(([gate, value]) => {
    const known = gates[gate];
    if (known !== undefined)
      return known.inert !== undefined && value !== known.default ? [noEffect(gate, known.inert)] : [];
    const because = gatesWithoutEffect[gate];
    if (because !== undefined) return [noEffect(gate, because)];
    const meant = nearest(gate, Object.keys(gates));
    const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
    return [`feature gate ${gate} is unknown and ignored${hint}`];
  });
