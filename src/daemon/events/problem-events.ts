import type { Problem } from '../../plan/render/fragment.js';
import type { EventRecorder, RecordedEvent } from './event-recorder.js';

/** The event about a problem; `uid` is that of the Service. */
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
  /** The problems that exist now. */
  readonly events: () => Iterable<RecordedEvent>;
  readonly recorder: EventRecorder;
  /** A random time between these, milliseconds: less than the hour for which API servers keep an Event. */
  readonly interval?: readonly [from: number, to: number];
  /** How many at once: every node repeats them. */
  readonly maximum?: number;
}

/** Repeats the events of problems that persist: the API server forgets an Event after an hour. */
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
