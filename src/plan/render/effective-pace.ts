import type { PaceSettings } from '../../model/pace.js';
import { annotationField } from '../../model/settings/service-annotations.js';
import { durationSyntax, type AnnotationReader } from './annotation-reader.js';
import { weightedScheduler } from './weighted-scheduler.js';

const slowStart = durationSyntax('InvalidSlowStart', 'the configured time is used');
const quarantine = durationSyntax('InvalidQuarantine', 'the configured time is used');

/** Reports only what the Service itself asks for: a default for all Services has exceptions. */
const slowStartOf = (reader: AnnotationReader, scheduler: string, configured: number): number => {
  const given = reader.read('slow-start', slowStart);
  if (weightedScheduler(scheduler) !== undefined) return given ?? configured;
  if (given !== undefined && given > 0)
    reader.report(
      'SlowStartUnsupported',
      annotationField('slow-start'),
      `scheduler ${scheduler} does not distribute connections by weight; new endpoints get their full share at once`,
    );
  return 0;
};

/** `dh` rejects the clients that it assigned to a real server of weight 0. */
const quarantineOf = (reader: AnnotationReader, scheduler: string, configured: number): number => {
  const given = reader.read('quarantine', quarantine);
  if (scheduler !== 'dh') return given ?? configured;
  if (given !== undefined && given > 0)
    reader.report(
      'QuarantineUnsupported',
      annotationField('quarantine'),
      'scheduler dh rejects the clients of an endpoint without weight; no endpoint is quarantined',
    );
  return 0;
};

export const noPace: PaceSettings = { slowStartMilliseconds: 0, quarantineMilliseconds: 0 };

export interface EffectivePace {
  /** By weight if weights climb. */
  readonly scheduler: string;
  /** Undefined if weights do not change over time. */
  readonly pace: PaceSettings | undefined;
}

/** How the weights of the Service change over time, and the scheduler that this needs. */
export const effectivePace = (
  reader: AnnotationReader,
  scheduler: string,
  configured: PaceSettings,
): EffectivePace => {
  const slowStartMilliseconds = slowStartOf(reader, scheduler, configured.slowStartMilliseconds);
  const quarantineMilliseconds = quarantineOf(reader, scheduler, configured.quarantineMilliseconds);
  if (slowStartMilliseconds === 0 && quarantineMilliseconds === 0) return { scheduler, pace: undefined };
  return {
    scheduler: slowStartMilliseconds === 0 ? scheduler : (weightedScheduler(scheduler) ?? scheduler),
    pace: { slowStartMilliseconds, quarantineMilliseconds },
  };
};
