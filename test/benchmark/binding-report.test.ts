import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bindingResult, bindingText } from './binding-report.js';

const runs = {
  services: 10_000,
  endpoints: 10,
  binding: 'route',
  floor: [0.25, 9, 0.5].map((seconds) => ({ virtualServers: 1, addresses: seconds })),
  sync: [2, 1, 30].map((fullSyncSeconds) => ({ fullSyncSeconds, residentMegabytes: 80 })),
} as const;

test('medians count, and the floor of the bindings is a part of the floor', () => {
  assert.deepEqual(bindingResult(runs), {
    services: 10_000,
    endpoints: 10,
    binding: 'route',
    runs: 3,
    fullSyncSeconds: 2,
    floorSeconds: 1.5,
    floorOfBindingsSeconds: 0.5,
    residentMegabytes: 80,
  });
});

test('the table lines up', () => {
  const lines = bindingText([bindingResult(runs), bindingResult({ ...runs, services: 100 })]).trimEnd();
  const [head = '', first = ''] = lines.split('\n');
  assert.equal(new Set(lines.split('\n').map((line) => line.length)).size, 1, lines);
  assert.match(head, /^Services +endpoints +binding +full sync +floor +of it VIPs +RSS$/);
  assert.match(first, /^ *10,000 +10 +route +2\.00 s +1\.50 s +0\.50 s +80 MB$/);
});
