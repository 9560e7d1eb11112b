import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { withStableNode, withStableVersions } from '../support/stand-ins.js';

const versions = { node: 'v26.10.0', kernel: '6.18.44-cloud-amd64' };

/** Pages and help texts: ordinary text, and outputs that have their stand-ins. admin-api.md shows responses of a real daemon. */
const texts: readonly string[] = [
  'README.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md') && name !== 'admin-api.md')
    .map((name) => join('docs', name)),
  ...readdirSync('test/fixtures/cli')
    .filter((name) => name.endsWith('.txt') || name.endsWith('.md'))
    .map((name) => join('test/fixtures/cli', name)),
];

for (const name of texts)
  test(`${name} stays as it is`, () => {
    const text = readFileSync(name, 'utf8');
    assert.equal(withStableNode(text, versions), text);
  });

const sentences = [
  'Shows how the kernel differs from what is wanted.',
  'the kernel: refuses, "kernel" and kernel-version',
  'the kernel 6.18.44-cloud-amd64-unsigned, kernel 6.18.4, Linux 5.9 and newer',
  'Node.js v26.10.0-nightly, needs Node.js 20.20 or newer',
  'a backup of 6.18.44-cloud-amd64 and v26.10.0',
  'which rules applied: none; TIME_WAIT 1200s; a process 12 that is up; it took 30 % of a processor',
  'manifests /root/tmp/x on 2026-11-29',
];
for (const text of sentences)
  test(`“${text}” stays as it is`, () => {
    assert.equal(withStableNode(text, versions), text);
  });

test('versions of this machine get their stand-ins, in text and JSON', () => {
  for (const [given, wanted] of [
    ['(Node.js v26.10.0, kernel 6.18.44-cloud-amd64)', '(Node.js v20.0.0, kernel 6.1.0)'],
    ['"node": "v26.10.0",\n"kernel": "6.18.44-cloud-amd64"', '"node": "v20.0.0",\n"kernel": "6.1.0"'],
    ['kernelRelease: 6.18.44-cloud-amd64\n', 'kernelRelease: 6.1.0\n'],
    ['Linux 6.18.44-cloud-amd64: all is well', 'Linux 6.1.0: all is well'],
  ] as const)
    assert.equal(withStableVersions(given, versions), wanted);
});

test('what differs from run to run gets its stand-in', () => {
  for (const [given, wanted] of [
    ['TIME_WAIT     119s  shop/web', 'TIME_WAIT     118s  shop/web'],
    ['13s ago, took 1.5 s, 3 operations applied', '2s ago, took 20 ms, 0 operations applied'],
    ['process  77, up 1h2m', 'process  1234, up 1m'],
    ['runs here (process 77) and', 'runs here (process 1234) and'],
    ['{"pid":77,"applied": 12.5}\n  uptimeSeconds: 3\n', '{"pid":1,"applied": 1}\n  uptimeSeconds: 1\n'],
    ['manifests /tmp/tmp.x1/examples', 'manifests /root/examples'],
    ['"manifests": "/tmp/tmp.x1/examples"', '"manifests": "/root/examples"'],
    ['at 2026-11-29T18:42:35.123Z', 'at 2026-11-23T10:00:00Z'],
  ] as const)
    assert.equal(withStableNode(given, versions), wanted);
});
