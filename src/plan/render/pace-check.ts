import { parseDuration } from '../../base/duration.js';
import { quote } from '../../base/text.js';
import type { PaceSettings } from '../../model/pace.js';
import { annotationField } from '../../model/service-annotations.js';
import type { Service } from '../../model/service.js';
import type { VirtualServerFlag } from '../../model/virtual-server.js';
import { weightedScheduler } from './weighted-scheduler.js';

/** Reports a problem of a field. */
type ReportProblem = (reason: string, field: string, message: string) => void;

type DurationAnnotation = 'slow-start' | 'quarantine';

const durationOf = (
  service: Service,
  name: DurationAnnotation,
  configured: number,
  report: ReportProblem,
): number => {
  const value = service.annotations[name];
  if (value === undefined) return configured;
  const milliseconds = parseDuration(value.trim());
  if (milliseconds !== undefined && milliseconds >= 0) return milliseconds;
  report(
    name === 'slow-start' ? 'InvalidSlowStart' : 'InvalidQuarantine',
    annotationField(name),
    `${quote(value)} is not a valid duration (such as 30s or 1m30s); the configured time is used instead`,
  );
  return configured;
};

/** Reports only what the Service itself asks for: a default for all Services has exceptions. */
const slowStartOf = (
  service: Service,
  scheduler: string,
  configured: number,
  report: ReportProblem,
): number => {
  const milliseconds = durationOf(service, 'slow-start', configured, report);
  if (milliseconds === 0 || weightedScheduler(scheduler) !== undefined) return milliseconds;
  if (service.annotations['slow-start'] !== undefined)
    report(
      'SlowStartUnsupported',
      annotationField('slow-start'),
      `scheduler ${scheduler} does not distribute connections by weight; new endpoints get their full share at once`,
    );
  return 0;
};

/** `dh` rejects the clients that it assigned to a real server of weight 0. */
const quarantineOf = (
  service: Service,
  scheduler: string,
  configured: number,
  report: ReportProblem,
): number => {
  const milliseconds = durationOf(service, 'quarantine', configured, report);
  if (milliseconds === 0 || scheduler !== 'dh') return milliseconds;
  if (service.annotations.quarantine !== undefined)
    report(
      'QuarantineUnsupported',
      annotationField('quarantine'),
      'scheduler dh rejects the clients of an endpoint without weight; no endpoint is quarantined',
    );
  return 0;
};

export const noPace: PaceSettings = { slowStartMilliseconds: 0, quarantineMilliseconds: 0 };

export interface CheckedPace {
  /** By weight if weights climb. */
  readonly scheduler: string;
  /** Undefined if weights do not change over time. */
  readonly pace: PaceSettings | undefined;
}

/** How the weights of the Service change over time, and the scheduler that this needs. */
export const checkPace = (
  service: Service,
  scheduler: string,
  configured: PaceSettings,
  report: ReportProblem,
): CheckedPace => {
  const slowStartMilliseconds = slowStartOf(service, scheduler, configured.slowStartMilliseconds, report);
  const quarantineMilliseconds = quarantineOf(service, scheduler, configured.quarantineMilliseconds, report);
  if (slowStartMilliseconds === 0 && quarantineMilliseconds === 0) return { scheduler, pace: undefined };
  return {
    scheduler: slowStartMilliseconds === 0 ? scheduler : (weightedScheduler(scheduler) ?? scheduler),
    pace: { slowStartMilliseconds, quarantineMilliseconds },
  };
};

const fallbacks: Readonly<Partial<Record<string, VirtualServerFlag>>> = {
  sh: 'sh-fallback',
  mh: 'mh-fallback',
};

/** Without a fallback, `sh` and `mh` reject the clients that they assigned to a real server of weight 0. */
export const withFallback = (
  flags: readonly VirtualServerFlag[],
  { scheduler, pace }: CheckedPace,
): readonly VirtualServerFlag[] => {
  const fallback = fallbacks[scheduler];
  if (fallback === undefined || pace === undefined || pace.quarantineMilliseconds === 0) return flags;
  return [...flags, fallback].toSorted();
};
