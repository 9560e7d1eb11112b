import type { Problem } from '../../plan/fragment.js';
import type { EventRecorder, RecordedEvent } from './recorder.js';

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

export interface ReminderOptions {
  /** What is wrong now. */
  readonly events: () => Iterable<RecordedEvent>;
  readonly recorder: EventRecorder;
  /** Between these, at random, milliseconds: shorter than the hour that API servers keep an event. */
  readonly between?: readonly [from: number, to: number];
  /** At most so many at once: each node tells them. */
  readonly most?: number;
}

/** Tells again and again what stays wrong, so that it is seen by whoever looks hours later. */
export const remindOfProblems = (options: ReminderOptions): Disposable => {
  const { events, recorder, between = [20 * 60_000, 40 * 60_000], most = 25 } = options;
  const [from, to] = between;
  let timer: NodeJS.Timeout;
  const plan = (): void => {
    timer = setTimeout(remind, from + Math.random() * (to - from));
  };
  const remind = (): void => {
    let told = 0;
    for (const event of events()) {
      if (told === most) break;
      recorder.record(event);
      told += 1;
    }
    plan();
  };
  plan();
  return { [Symbol.dispose]: () => clearTimeout(timer) };
};
