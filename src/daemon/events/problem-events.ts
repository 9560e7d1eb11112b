import type { Problem } from '../../plan/render/fragment.js';
import type { EventRecorder, RecordedEvent } from './event-recorder.js';

/** The event that tells of a problem; `uid` is the Service's. */
export const problemEvent = (
  { service, reason, message }: Problem,
  uid: string | undefined,
): RecordedEvent => {
  const [namespace = '', name = ''] = service.split('/');
  return {
    regarding: { kind: 'Service', namespace, name, uid },
    type: 'Warning',
    reason,
    action: 'ProgramService',
    note: message,
  };
};

export interface RepeatOptions {
  /** What is wrong now. */
  readonly events: () => Iterable<RecordedEvent>;
  readonly recorder: EventRecorder;
  /** Between these, at random, milliseconds: shorter than the hour that API servers keep an event. */
  readonly interval?: readonly [from: number, to: number];
  /** At most so many at once: each node tells them. */
  readonly maximum?: number;
}

/** Tells again and again what stays wrong, so that it is seen by whoever looks hours later. */
export const repeatProblemEvents = (options: RepeatOptions): Disposable => {
  const { events, recorder, interval = [20 * 60_000, 40 * 60_000], maximum = 25 } = options;
  const [from, to] = interval;
  let timer: NodeJS.Timeout;
  const schedule = (): void => {
    timer = setTimeout(remind, from + Math.random() * (to - from));
  };
  const remind = (): void => {
    let recorded = 0;
    for (const event of events()) {
      if (recorded === maximum) break;
      recorder.record(event);
      recorded += 1;
    }
    schedule();
  };
  schedule();
  return { [Symbol.dispose]: () => clearTimeout(timer) };
};
