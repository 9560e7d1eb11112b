import { families, hostPrefixLength, type Family } from '../../base/ip.js';
import type { PaceSettings } from '../../model/pace.js';
import { annotationField } from '../../model/settings/service-annotations.js';
import type { Service } from '../../model/service.js';
import {
  persistenceNetmaskSyntax,
  persistenceTimeoutSyntax,
  type PrefixLengths,
  thresholdSyntax,
  type ServiceSettings,
} from '../../model/settings/service-settings.js';
import { parseWeightBy, weightByNames, type WeightBy } from '../../model/settings/weight-by.js';
import type { Persistence, RealServer } from '../../model/virtual-server.js';
import { durationSyntax, type AnnotationReader, type AnnotationSyntax } from './annotation-reader.js';
import { effectiveFlags, type FlagsByProtocol } from './effective-flags.js';
import { effectivePace, noPace, type EffectivePace } from './effective-pace.js';

/** The settings of the virtual servers and real servers of one Service. */
export interface EffectiveSettings extends EffectivePace {
  /** Undefined if the configured time of the protocol applies. */
  readonly drainMilliseconds: number | undefined;
  readonly flagsOf: FlagsByProtocol;
  readonly persistence: Readonly<Partial<Record<Family, Persistence>>>;
  readonly thresholds: Thresholds;
  readonly weightBy: WeightBy;
  /** Whether kube-ipvs takes over virtual servers that another program made for the Service. */
  readonly takesOverForeign: boolean;
}

/** The limits of each real server. */
export type Thresholds = Pick<RealServer, 'upperThreshold' | 'lowerThreshold'>;

const noThresholds: Thresholds = { upperThreshold: 0, lowerThreshold: 0 };
const noPersistence: EffectiveSettings['persistence'] = {};

/** IP_VS_SCHEDNAME_MAXLEN is 16, including the terminating zero. */
const schedulerName = /^[a-z][a-z0-9_-]{0,14}$/;

const readScheduler = (reader: AnnotationReader, configured: string): string =>
  reader.read('scheduler', {
    reason: 'InvalidScheduler',
    expected: 'the name of a scheduler',
    parse: (text) => (schedulerName.test(text) ? text : undefined),
    otherwise: `${configured} is used`,
  }) ?? configured;

const drainDeadline = durationSyntax('InvalidDrainDeadline', 'the configured deadline is used');

const takeOverForeign: AnnotationSyntax<boolean> = {
  reason: 'InvalidTakeOverForeign',
  expected: 'true or false',
  parse: (text) => (text === 'true' || text === 'false' ? text === 'true' : undefined),
  otherwise: 'false is used',
};

const weightBy = (configured: WeightBy): AnnotationSyntax<WeightBy> => ({
  reason: 'InvalidWeightBy',
  expected: `one of ${weightByNames.join(', ')}`,
  parse: parseWeightBy,
  otherwise: `${configured} is used`,
});

const persistenceTimeout: AnnotationSyntax<number> = {
  ...persistenceTimeoutSyntax,
  reason: 'InvalidPersistenceTimeout',
  otherwise: 'sessionAffinity or the default is used',
};

const persistenceNetmask: AnnotationSyntax<PrefixLengths> = {
  ...persistenceNetmaskSyntax,
  reason: 'InvalidPersistenceNetmask',
  otherwise: 'the default is used',
};

const upperThreshold: AnnotationSyntax<number> = {
  ...thresholdSyntax(),
  reason: 'InvalidUpperThreshold',
  otherwise: 'the default is used',
};

const lowerThreshold = (upper: number): AnnotationSyntax<number> => ({
  ...thresholdSyntax(
    upper,
    upper === 0 ? '0 without upper-threshold' : `at most upper-threshold, which is ${upper}`,
  ),
  reason: 'InvalidLowerThreshold',
  otherwise: 'the default is used',
});

/** The Service's own sessionAffinity comes before the defaults of all Services. */
const persistenceOf = (
  reader: AnnotationReader,
  { clusterIps, affinitySeconds }: Service,
  defaults: ServiceSettings,
): EffectiveSettings['persistence'] => {
  const given = reader.read('persistence-timeout', persistenceTimeout);
  const masks = reader.read('persistence-netmask', persistenceNetmask);
  const seconds = given ?? affinitySeconds ?? defaults.persistenceSeconds ?? 0;
  const served = families.filter((family) => clusterIps[family] !== undefined);
  const isUsed = seconds > 0 && served.some((family) => masks?.[family] !== undefined);
  if (masks !== undefined && !isUsed)
    reader.report(
      'IneffectivePersistenceNetmask',
      annotationField('persistence-netmask'),
      seconds > 0
        ? 'the Service has no ClusterIP of this family; left out'
        : 'the Service has no persistence; set persistence-timeout too',
    );
  if (seconds === 0) return noPersistence;
  const lengths = { ...defaults.persistencePrefixLengths, ...masks };
  return Object.fromEntries(
    served.map((family) => [family, { seconds, prefixLength: lengths[family] ?? hostPrefixLength(family) }]),
  );
};

/** The kernel rejects a lower threshold above the upper one (ip_vs_add_dest in net/netfilter/ipvs/ip_vs_ctl.c). */
const thresholdsOf = (reader: AnnotationReader, defaults: ServiceSettings): Thresholds => {
  const upper = reader.read('upper-threshold', upperThreshold) ?? defaults.upperThreshold ?? 0;
  const given = reader.read('lower-threshold', lowerThreshold(upper));
  if (upper === 0) return noThresholds;
  const byDefault = defaults.lowerThreshold ?? 0;
  return { upperThreshold: upper, lowerThreshold: given ?? (byDefault <= upper ? byDefault : 0) };
};

/** What `effectiveSettings` knows besides the annotations. */
export interface SettingDefaults {
  /** The scheduler of Services that choose none. */
  readonly scheduler: string;
  readonly serviceDefaults?: ServiceSettings;
  /** The weights of Services that choose none; equal ones by default. */
  readonly weightBy?: WeightBy;
  /** How the weights of Services that choose nothing change over time; not at all by default. */
  readonly pace?: PaceSettings;
}

const noDefaults: ServiceSettings = {};

/** Resolves each setting: the annotation, then the defaults of all Services, then what kube-proxy does. */
export const effectiveSettings = (
  service: Service,
  reader: AnnotationReader,
  {
    scheduler: configured,
    serviceDefaults: defaults = noDefaults,
    weightBy: configuredWeightBy = 'none',
    pace: configuredPace = noPace,
  }: SettingDefaults,
): EffectiveSettings => {
  const scheduler = readScheduler(reader, configured);
  const isUdp = service.ports.some(({ protocol }) => protocol === 'UDP');
  return {
    ...effectivePace(reader, scheduler, configuredPace),
    drainMilliseconds: reader.read('drain-deadline', drainDeadline),
    flagsOf: effectiveFlags(reader, scheduler, isUdp, defaults),
    persistence: persistenceOf(reader, service, defaults),
    thresholds: thresholdsOf(reader, defaults),
    weightBy: reader.read('weight-by', weightBy(configuredWeightBy)) ?? configuredWeightBy,
    takesOverForeign: reader.read('take-over-foreign', takeOverForeign) ?? false,
  };
};
