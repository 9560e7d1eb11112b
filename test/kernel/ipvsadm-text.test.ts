import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { ipvsadmText } from '../../src/plan/output/ipvs-table-formats.js';
import { everyOption } from '../support/virtual-server-entries.js';

const lines = (text: string): readonly string[] => text.trim().split('\n').toSorted();

test('ipvsadm -R reads our text, and ipvsadm -Sn prints it again, but for thresholds, which it never prints', () => {
  const text = ipvsadmText(everyOption);
  execFileSync('ipvsadm', ['-R'], { input: text });
  const printed = execFileSync('ipvsadm', ['-Sn'], { encoding: 'utf8' });
  assert.deepEqual(lines(printed), lines(text.replaceAll(/ -x \d+| -y \d+/g, '')));
  const thresholds = execFileSync('ipvsadm', ['-Ln', '--thresholds'], { encoding: 'utf8' });
  assert.match(thresholds, /10\.1\.0\.2:8080 +100 +50 /);
  assert.equal(lines(printed).length, 12);
});
