import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFlags } from '../../../src/config/parse-flags.js';
import { kubeProxyDocument } from '../../../src/config/configuration-document.js';
import { resolveSettings } from '../../../src/config/settings.js';
import { flagzPage, slisText, statuszPage } from '../../../src/daemon/serving/debugging-pages.js';
import { debuggingResponse, negotiate } from '../../../src/daemon/serving/negotiate-format.js';

const json = 'application/json;v=v1beta1;g=config.k8s.io;as=Statusz';

const wishes: readonly [string | undefined, unknown][] = [
  [undefined, { as: 'text' }],
  ['', { as: 'text' }],
  ['*/*', { as: 'text' }],
  ['text/html, application/xml;q=0.9, */*;q=0.8', { as: 'text' }],
  [json, { as: 'object', type: 'json', version: 'v1beta1' }],
  [`${json}, text/plain`, { as: 'object', type: 'json', version: 'v1beta1' }],
  [
    'application/yaml; v=v1alpha1; g=config.k8s.io; as=Statusz',
    { as: 'object', type: 'yaml', version: 'v1alpha1' },
  ],
  ['application/json', undefined],
  ['application/json;v=v1beta1;g=config.k8s.io;as=Flagz', undefined],
  ['application/json;v=v2;g=config.k8s.io;as=Statusz', undefined],
  ['image/png', undefined],
];

for (const [accept, expected] of wishes)
  test(`Accept: ${accept ?? '(none)'}`, () => assert.deepEqual(negotiate(accept, 'Statusz'), expected));

const startedAt = Date.UTC(2026, 0, 1, 12);
const statusz = statuszPage({
  startedAt,
  now: startedAt + 3_725_900,
  runtime: 'node v20.0.0',
  version: '0.1.0',
  paths: ['/healthz', '/metrics'],
});

test('statusz as text', () => {
  assert.equal(
    statusz.text,
    `
kube-proxy statusz
Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.

Started: Thu, 01 Jan 2026 12:00:00 GMT
Up: 1 hr 02 min 05 sec
Go version: node v20.0.0
Binary version: 0.1.0
Emulation version: 1.36
Paths: /healthz /metrics
`,
  );
});

test('statusz as an object, in JSON and YAML; the older version warns', () => {
  const answer = debuggingResponse(statusz, json);
  assert.equal(answer.headers['Content-Type'], 'application/json');
  assert.equal(answer.headers['Warning'], undefined);
  assert.deepEqual(JSON.parse(answer.body), {
    kind: 'Statusz',
    apiVersion: 'config.k8s.io/v1beta1',
    metadata: { name: 'kube-proxy' },
    startTime: '2026-01-01T12:00:00Z',
    uptimeSeconds: 3725,
    goVersion: 'node v20.0.0',
    binaryVersion: '0.1.0',
    emulationVersion: '1.36',
    paths: ['/healthz', '/metrics'],
  });
  const older = debuggingResponse(statusz, 'application/yaml;v=v1alpha1;g=config.k8s.io;as=Statusz');
  assert.match(older.headers['Warning'] ?? '', /^299 .*deprecated/);
  assert.match(older.body, /^kind: Statusz\napiVersion: config\.k8s\.io\/v1alpha1\n/);
  assert.equal(debuggingResponse(statusz, 'application/json').status, 406);
});

test('flagz has every flag: as given, else its default', () => {
  const defaults = kubeProxyDocument(resolveSettings({ flags: new Map(), files: [], hostname: 'n1' }));
  const page = flagzPage(
    parseFlags(['--ipvs-scheduler=lc', '--config=/a', '--config=/b', '--profiling']),
    defaults,
  );
  const lines = page.text.split('\n');
  for (const line of [
    'bind-address=0.0.0.0',
    'config=/a,/b',
    'ipvs-exclude-cidrs=[]',
    'ipvs-min-sync-period=1s',
    'ipvs-scheduler=lc',
    'once=false',
    'oom-score-adj=-999',
    'profiling=true',
  ])
    assert.ok(lines.includes(line), line);
  const names = lines.slice(4, -1).map((line) => line.replace(/=.*/, ''));
  assert.deepEqual(names, names.toSorted());
});

test('SLIs tell nothing before somebody asked', () => {
  assert.match(
    slisText(0, 1_500),
    /^# HELP process_start_time_seconds .*\n.*\nprocess_start_time_seconds 1\.5\n$/,
  );
  assert.match(
    slisText(3, 0),
    /^kubernetes_healthchecks_total\{name="ping",status="success",type="healthz"\} 3$/m,
  );
});
