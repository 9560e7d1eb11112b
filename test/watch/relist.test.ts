import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../src/base/log.js';
import { ApiError, type Answer } from '../../src/watch/api-client.js';
import { Reflector } from '../../src/watch/reflector.js';
import { fastTiming } from './following.js';

const endMark =
  '{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7","annotations":{"k8s.io/initial-events-end":"true"}}}}\n';

const answer = (text: string): Answer => ({
  within: () => {},
  async *[Symbol.asyncIterator]() {
    yield Buffer.from(text);
  },
});

/** Runs a reflector whose watches get these statuses, with lists that succeed; the milliseconds before each request after the first. */
const pauses = async (statuses: readonly number[], timing: object): Promise<readonly string[]> => {
  const stop = new AbortController();
  const seen: string[] = [];
  let last = performance.now();
  let left = [...statuses];
  const open = async (path: string): Promise<Answer> => {
    const isList = path.includes('sendInitialEvents');
    const now = performance.now();
    seen.push(`${isList ? 'list' : 'watch'} ${Math.floor((now - last) / 50) * 50}`);
    last = now;
    if (isList) return answer(endMark);
    const [status, ...rest] = left;
    left = rest;
    if (status !== undefined) throw new ApiError(status, {});
    stop.abort();
    throw stop.signal.reason;
  };
  const reflector = new Reflector({
    client: { open },
    collection: {
      name: 'services',
      path: '/api/v1/services',
      selectors: {},
      read: () => ({ key: '', value: undefined, problems: [] }),
      current: () => undefined,
      replace: () => {},
      apply: () => {},
      report: () => {},
    },
    logger: silentLogger,
    timing: { ...fastTiming, ...timing },
    random: () => 0.5,
  });
  await reflector.run(stop.signal);
  return seen;
};

test('after an outage what is too old is listed within the time that lists are spread over, however long the backoff was', async () => {
  const seen = await pauses([500, 500, 500, 500, 410], {
    backoff: { first: 20, maximum: 60_000 },
    relistSpread: 220,
  });
  assert.deepEqual(seen.slice(-3), ['watch 150', 'list 100', 'watch 0']);
});

test('where lists are of no use either, the pauses grow', async () => {
  const seen = await pauses([410, 410, 410, 410], {
    backoff: { first: 30, maximum: 60_000 },
    relistSpread: 0,
  });
  assert.deepEqual(
    seen.filter((line) => line.startsWith('list')),
    ['list 0', 'list 0', 'list 50', 'list 100', 'list 200'],
  );
});
