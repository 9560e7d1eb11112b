import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogRecord } from '../../../src/admin-api/log-response.js';
import { logLines } from '../../../src/cli/log/log-text.js';
import { plainPalette } from '../../../src/cli/output/palette.js';

const now = new Date(2026, 10, 23, 3, 30).getTime();
let id = 0;
const record = (fields: Omit<LogRecord, 'id' | 'at'>, second = 7): LogRecord => {
  id += 1;
  return { id, at: new Date(2026, 10, 23, 3, 12, second, 250).toISOString(), ...fields };
};
const web = { service: 'shop/web' } as const;
const realServer = {
  kind: 'real-server',
  virtualServer: 'TCP 10.96.0.1:80',
  key: '10.244.0.11:8080',
} as const;
const endpoint = { pod: 'shop/web-1', node: 'node-1' } as const;

const text = (records: readonly LogRecord[], isFollowing = false): string =>
  [...logLines(records, { now, palette: plainPalette, titles: true, isFollowing })].join('');

test('each sort of record is one line, aligned, with its Service and cause', () => {
  assert.equal(
    text([
      record({ event: 'started', details: ['v1.2.3'] }),
      record({
        event: 'changed',
        cause: 'endpoints-changed',
        ...web,
        op: 'add',
        ...realServer,
        ...endpoint,
        wanted: { forwarding: 'masquerade', weight: 1 },
      }),
      record({
        event: 'changed',
        cause: 'drift',
        ...web,
        op: 'change',
        ...realServer,
        wanted: { weight: 1 },
        found: { weight: 7 },
      }),
      record({ event: 'drain-begun', ...web, ...realServer, ...endpoint }),
      record({ event: 'drain-ended', ...web, ...realServer, reason: 'idle', seconds: 72 }),
      record({ event: 'refused', ...web, operation: '+ address 10.96.0.1/32', reason: 'EPERM: no' }),
      record({ event: 'conflict-begun', ...web, virtualServer: 'TCP 10.96.0.1:80' }),
      record({ event: 'rules-declared', family: 'IPv6' }),
      record({ event: 'interface-created', cause: 'start', key: 'kube-ipvs0' }),
      record({ event: 'settings-changed', details: ['ipvs.scheduler: "rr" → "lc"'] }),
      record({
        event: 'summary',
        from: new Date(2026, 10, 23, 3, 12, 1).toISOString(),
        count: 1_203,
        counts: [
          { event: 'changed', op: 'add', kind: 'real-server', cause: 'start', count: 1_200 },
          { event: 'drain-begun', count: 3 },
        ],
      }),
    ]),
    `\
TIME          SERVICE   CAUSE                       CHANGE
03:12:07.250  -         -                           daemon started: v1.2.3
03:12:07.250  shop/web  EndpointSlices changed      + real server TCP 10.96.0.1:80 → 10.244.0.11:8080 masquerade weight 1 (shop/web-1 on node-1)
03:12:07.250  shop/web  changed by another program  ~ real server TCP 10.96.0.1:80 → 10.244.0.11:8080: weight 7 → 1
03:12:07.250  shop/web  -                           drain began: TCP 10.96.0.1:80 → 10.244.0.11:8080 (shop/web-1 on node-1)
03:12:07.250  shop/web  -                           drain ended after 1m12s, idle: TCP 10.96.0.1:80 → 10.244.0.11:8080
03:12:07.250  shop/web  -                           refused: + address 10.96.0.1/32: EPERM: no
03:12:07.250  shop/web  -                           conflict began: another program created TCP 10.96.0.1:80
03:12:07.250  -         -                           packet rules declared: IPv6
03:12:07.250  -         daemon started              interface created: kube-ipvs0
03:12:07.250  -         -                           settings changed: ipvs.scheduler: "rr" → "lc"
03:12:07.250  -         -                           1203 more changes since 03:12:01.000, not listed singly: 1200 × + real server (daemon started), 3 × drain began
`,
  );
});

test('while following, the lines of every batch have the same columns', () => {
  const [, first = ''] = text([record({ event: 'started', details: ['v1'] })], true).split('\n');
  const [, second = ''] = text([record({ event: 'conflict-ended', ...web })], true).split('\n');
  assert.equal(first.indexOf('daemon started'), second.indexOf('conflict ended'));
});

test('a record of a later version is shown as it is, and control characters are escaped', () => {
  const unknown = { event: 'new-sort', key: 'a\u001b[31m' } as unknown as Omit<LogRecord, 'id' | 'at'>;
  assert.match(text([record(unknown)]), /new-sort a\\u001b\[31m\n$/);
});
