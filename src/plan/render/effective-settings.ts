import { parseDuration } from '../../base/duration.js';
import { families, hostPrefixLength, type Family } from '../../base/ip.js';
import { annotationField } from '../../model/service-annotations.js';
import type { Service } from '../../model/service.js';
import {
  persistenceNetmaskSyntax,
  persistenceTimeoutSyntax,
  thresholdSyntax,
  type ServiceSettings,
} from '../../model/service-settings.js';
import type { Persistence, RealServer } from '../../model/virtual-server.js';
import type { AnnotationReader } from './annotation-reader.js';
import { effectiveFlags, type FlagsByProtocol } from './effective-flags.js';

/** The settings of the virtual servers and real servers of one Service. */
export interface EffectiveSettings {
  readonly scheduler: string;
  /** Undefined if the configured time of the protocol applies. */
  readonly drainMilliseconds: number | undefined;
  readonly flagsOf: FlagsByProtocol;
  readonly persistence: Readonly<Partial<Record<Family, Persistence>>>;
  readonly thresholds: Thresholds;
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

const readDrainDeadline = (reader: AnnotationReader): number | undefined =>
  reader.read('drain-deadline', {
    reason: 'InvalidDrainDeadline',
    expected: 'a duration, such as 90s or 1h30m',
    parse: (text) => {
      const milliseconds = parseDuration(text);
      return milliseconds === undefined || milliseconds < 0 ? undefined : milliseconds;
    },
    otherwise: 'the configured deadline is used',
  });

const readTakeOverForeign = (reader: AnnotationReader): boolean | undefined =>
  reader.read('take-over-foreign', {
    reason: 'InvalidTakeOverForeign',
    expected: 'true or false',
    parse: (text) => (text === 'true' || text === 'false' ? text === 'true' : undefined),
    otherwise: 'false is used',
  });

/** The Service's own sessionAffinity comes before the defaults of all Services. */
const persistenceOf = (
  reader: AnnotationReader,
  { clusterIps, affinitySeconds }: Service,
  defaults: ServiceSettings,
): EffectiveSettings['persistence'] => {
  const timeout = { ...persistenceTimeoutSyntax, reason: 'InvalidPersistenceTimeout' };
  const netmask = { ...persistenceNetmaskSyntax, reason: 'InvalidPersistenceNetmask' };
  const given = reader.read('persistence-timeout', { ...timeout, otherwise: 'sessionAffinity applies' });
  const masks = reader.read('persistence-netmask', { ...netmask, otherwise: 'the default is used' });
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

const lowerThresholdExpected = (upper: number): string =>
  upper === 0 ? '0 without upper-threshold' : `at most upper-threshold, which is ${upper}`;

/** The kernel rejects a lower threshold above the upper one (ip_vs_add_dest in net/netfilter/ipvs/ip_vs_ctl.c). */
const thresholdsOf = (reader: AnnotationReader, defaults: ServiceSettings): Thresholds => {
  const upperSyntax = { ...thresholdSyntax(), reason: 'InvalidUpperThreshold' };
  const upper =
    reader.read('upper-threshold', { ...upperSyntax, otherwise: 'the default is used' }) ??
    defaults.upperThreshold ??
    0;
  const lower = reader.read('lower-threshold', {
    ...thresholdSyntax(upper, lowerThresholdExpected(upper)),
    reason: 'InvalidLowerThreshold',
    otherwise: 'the default is used',
  });
  const byDefault = defaults.lowerThreshold ?? 0;
  const lowerThreshold = lower ?? (byDefault <= upper ? byDefault : 0);
  return upper === 0 ? noThresholds : { upperThreshold: upper, lowerThreshold };
};

/** What `effectiveSettings` knows besides the annotations. */
export interface SettingDefaults {
  /** The scheduler of Services that choose none. */
  readonly scheduler: string;
  readonly serviceDefaults?: ServiceSettings;
}

const noDefaults: ServiceSettings = {};

/** Resolves each setting: the annotation, then the defaults of all Services, then what kube-proxy does. */
export const effectiveSettings = (
  service: Service,
  reader: AnnotationReader,
  { scheduler: configured, serviceDefaults: defaults = noDefaults }: SettingDefaults,
): EffectiveSettings => {
  const scheduler = readScheduler(reader, configured);
  const isUdp = service.ports.some(({ protocol }) => protocol === 'UDP');
  return {
    scheduler,
    drainMilliseconds: readDrainDeadline(reader),
    flagsOf: effectiveFlags(reader, scheduler, isUdp, defaults),
    persistence: persistenceOf(reader, service, defaults),
    thresholds: thresholdsOf(reader, defaults),
    takesOverForeign: readTakeOverForeign(reader) ?? false,
  };
};
