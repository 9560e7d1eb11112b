import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { klogLine, type LogLevel } from '../../src/base/klog.js';

const log = fileURLToPath(new URL('../../src/base/log.js', import.meta.url));

/** Standard error of a program that has a `log` with these options. */
const written = (options: string, body: string): readonly string[] => {
  const program = `import { createLogger } from ${JSON.stringify(log)};\nconst log = createLogger(${options});\n${body}`;
  const { stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
  });
  return stderr.trimEnd().split('\n');
};

test("text lines are klog's: severity, time, process, and fields as key=value, each on one line", () => {
  const line = (level: LogLevel): string =>
    klogLine({
      level,
      time: new Date('2026-11-03T07:05:09.012Z'),
      message: 'synced',
      fields: { applied: 3, left: undefined, error: 'a "b"\nc' },
    });
  const shape =
    /^I110[234] \d\d:\d\d:09\.012000 +\d+ kube-ipvs\] "synced" applied=3 error="a \\"b\\"\\nc"\n$/;
  assert.match(line('info'), shape);
  assert.deepEqual(
    (['debug', 'info', 'warn', 'error'] as const).map((level) => line(level)[0]),
    ['I', 'I', 'W', 'E'],
  );
});

test('a field that JSON cannot hold does not make the log call throw', () => {
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  const fields = { bytes: 10n, circular, rest: 1 };
  assert.match(
    klogLine({ level: 'info', time: new Date(), message: 'm', fields }),
    /"m" bytes="10" circular="\[not serializable\]" rest=1\n$/,
  );
});

test('format and verbosity change while the logger and its children are used', () => {
  const lines = written(
    '{ verbosity: 0, format: "json" }',
    `const child = log.child({ part: 'a' });
     log.debug({}, 'not said');
     child.info({ n: 1 }, 'first');
     log.set({ verbosity: 4, format: 'text' });
     child.debug({ n: 2 }, 'second');
     log.set({ verbosity: 3, format: 'text' });
     child.debug({ n: 3 }, 'not said');`,
  );
  assert.equal(lines.length, 2, lines.join('\n'));
  const { time, ...first } = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
  assert.match(String(time), /^\d{4}-.*Z$/);
  assert.deepEqual(first, { level: 'info', part: 'a', n: 1, msg: 'first' });
  assert.match(lines[1] ?? '', /^I.* kube-ipvs\] "second" part="a" n=2$/);
});
