import assert from 'node:assert/strict';
import { test } from 'node:test';
import { momentText, parseMoment } from '../../../src/cli/log/log-time.js';

const now = new Date(2026, 10, 23, 3, 30, 15).getTime();
const localTime = (...parts: readonly [number, number, number, number, number, number?]): number =>
  new Date(...(parts as [number, number, number, number, number])).getTime();

test('a moment is a duration before now, a local time of the last day, or a date', () => {
  assert.equal(parseMoment('--since', '10m', now), now - 600_000);
  assert.equal(parseMoment('--since', '0s', now), now);
  assert.equal(parseMoment('--since', '03:12', now), localTime(2026, 10, 23, 3, 12));
  assert.equal(parseMoment('--since', '03:30:15', now), now);
  assert.equal(parseMoment('--since', '03:31:07', now), new Date(2026, 10, 22, 3, 31, 7).getTime());
  assert.equal(parseMoment('--since', '2026-11-23T10:00:00Z', now), Date.parse('2026-11-23T10:00:00Z'));
  assert.equal(parseMoment('--since', '2026-11-23 03:12', now), localTime(2026, 10, 23, 3, 12));
});

test('anything else is an error that names the option and the forms', () => {
  for (const text of ['', 'yesterday', '25:00', '03:60', '-5m', '2026-13-01', '12'])
    assert.throws(
      () => parseMoment('--since', text, now),
      /^UsageError: --since: .* is not a valid time/,
      text,
    );
});

test('the date is shown only if it is not today', () => {
  assert.equal(momentText(new Date(2026, 10, 23, 3, 12, 7, 5), now), '03:12:07.005');
  assert.equal(momentText(new Date(2026, 10, 22, 23, 59, 59), now), '2026-11-22 23:59:59.000');
});
