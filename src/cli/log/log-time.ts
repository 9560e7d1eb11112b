import { parseDuration } from '../../base/duration.js';
import { UsageError } from '../../config/parse-flags.js';

const dayMilliseconds = 24 * 60 * 60 * 1_000;

/** The last time, at most a day ago, at which a local clock showed this. */
const lastClockTime = (text: string, now: number): number | undefined => {
  const [, hours, minutes, seconds = '0'] = /^(\d\d?):(\d\d)(?::(\d\d))?$/.exec(text) ?? [];
  if (hours === undefined || Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 59)
    return undefined;
  const onDayOf = (time: number): number =>
    new Date(time).setHours(Number(hours), Number(minutes), Number(seconds), 0);
  const today = onDayOf(now);
  return today <= now ? today : onDayOf(now - dayMilliseconds);
};

const dateTime = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/;

const parseDate = (text: string): number | undefined => {
  const time = dateTime.test(text) ? Date.parse(text.replace(' ', 'T')) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
};

/**
 * Reads `10m` (so long before now), `03:12` or `03:12:30` (local time, at most a day ago) or a date and time such as
 * `2026-11-23T10:00:00Z`. Milliseconds since 1970. A UsageError for anything else.
 */
export const parseMoment = (option: string, text: string, now: number): number => {
  const duration = parseDuration(text);
  const moment =
    duration !== undefined && duration >= 0 ? now - duration : (lastClockTime(text, now) ?? parseDate(text));
  if (moment !== undefined) return moment;
  throw new UsageError(
    `${option}: ${JSON.stringify(text)} is not a valid time (expected a duration such as 10m, a time such as 03:12, or ` +
      'a date and time such as 2026-11-23T10:00:00Z)',
  );
};

const twoDigits = (number: number): string => String(number).padStart(2, '0');

/** `03:12:07.250` in local time; `2026-11-22 03:12:07.250` if it was another day than now. */
export const momentText = (at: Date, now: number): string => {
  const today = new Date(now);
  const clock = `${[at.getHours(), at.getMinutes(), at.getSeconds()].map(twoDigits).join(':')}.${String(at.getMilliseconds()).padStart(3, '0')}`;
  const isToday = at.toDateString() === today.toDateString();
  const date = [at.getFullYear(), twoDigits(at.getMonth() + 1), twoDigits(at.getDate())].join('-');
  return isToday ? clock : `${date} ${clock}`;
};
