import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { klogLine } from '../../src/base/klog.js';
import { printable, printableLines } from '../../src/base/text.js';
import { seed } from '../support/seed.js';

test('what a terminal would obey is shown as its code; all else stays as it is', () => {
  assert.equal(printable('web-1\u001b]0;owned\u0007\r\n'), 'web-1\\u001b]0;owned\\u0007\\u000d\\u000a');
  assert.equal(printable('\u009b2J\u007f\u202Etxt\u2066'), '\\u009b2J\\u007f\\u202etxt\\u2066');
  assert.equal(printable('ü → 日本 👩‍💻'), 'ü → 日本 👩‍💻');
  assert.equal(printableLines('a\tb\nc\n'), 'a\\u0009b\nc\n');
});

test('of JSON it makes JSON with the same meaning', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(JSON.parse(printable(JSON.stringify(text))), text);
    }),
    { seed },
  );
});

test('a line of the log gives no orders either', () => {
  const fields = { pod: 'a\u001b[2J\u009bc' };
  const line = klogLine({ level: 'warn', time: new Date(), message: 'm', fields });
  assert.match(line, /"m" pod="a\\u001b\[2J\\u009bc"\n$/);
});
