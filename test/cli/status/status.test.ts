import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseYaml } from '../../../src/base/yaml.js';
import { plainPalette } from '../../../src/cli/output/palette.js';
import { healthProblems, statusText } from '../../../src/cli/status/status-text.js';
import type { StatusResponse } from '../../../src/admin-api/responses.js';
import { status as statusFact } from '../../support/doctor-facts.js';

const answer = (changes: Partial<StatusResponse> = {}): StatusResponse => {
  const fact = statusFact(changes);
  assert.ok('value' in fact && fact.value !== undefined);
  return fact.value;
};

const scratch = mkdtempSync(join(tmpdir(), 'kube-ipvs-status-'));
after(() => rmSync(scratch, { recursive: true }));

test('the status of a healthy daemon fits on one screen', () => {
  assert.equal(
    statusText(answer({ zone: 'a' }), plainPalette),
    `kube-ipvs v0.1.0 on node-1 in zone a: healthy
   source        API server 192.0.2.9:6443, delivered
   last sync     5s ago, took 42 ms: 3 operations applied, 0 refused
   Services      2
   kernel        2 virtual servers, 3 real servers, 2 addresses, 7 packet rule elements
   foreign       0 virtual servers of other programs
   draining      0 real servers
   problems      none
   packet rules  IPv4 in force, IPv6 in force
   refused       none
   contested     none
   drift         none
   ports         health 0.0.0.0:10256, metrics 127.0.0.1:10249
   config        0123456789ab, scheduler rr, config.conf
   process       12, up 1h, kernel 6.12.48
`,
  );
});

const refused = (what: string, nextTrySeconds?: number) => ({
  what,
  reason: 'EPERM',
  seconds: 61,
  ...(nextTrySeconds === undefined ? {} : { nextTrySeconds }),
});

const troubled = answer({
  healthy: false,
  source: { name: 'api', delivered: true, trouble: 'the connection was refused' },
  lastSync: { ...answer().lastSync, succeeded: false, failed: 2 } as NonNullable<StatusResponse['lastSync']>,
  refused: [
    refused('TCP 10.96.0.1:443', 12.4),
    refused('fd00:96::1'),
    refused('UDP [fd00:96::1]:53', 3),
    refused('10.96.0.7', 3),
  ],
  refusedCount: 140,
  contested: [{ virtualServer: 'TCP 10.96.0.9:80', service: 'shop/web' }],
  drift: [
    { object: 'address', drift: 'missing', count: 2 },
    { object: 'virtual-server', drift: 'differs', count: 1 },
  ],
  packetRules: { IPv4: { inForce: true }, IPv6: { inForce: false, trouble: 'no nftables' } },
  lostNodes: [{ node: 'n7', secondsAgo: 61, realServers: 2 }],
  counts: { ...answer().counts, draining: 1, lingering: 1, problems: 3, foreignVirtualServers: 4 },
});

test('lines that need attention are marked, problems come first, and long lists are cut', () => {
  assert.equal(
    statusText(troubled, plainPalette),
    `kube-ipvs v0.1.0 on node-1: NOT healthy
!  the packet rules for IPv6 are not in force: no nftables
!  source        api, delivered, the connection was refused
!  last sync     failed 5s ago, took 42 ms: 3 operations applied, 2 refused
   Services      2
   kernel        2 virtual servers, 3 real servers, 2 addresses, 7 packet rule elements
   foreign       4 virtual servers of other programs
   draining      1 real server, 1 orphaned virtual server
!  problems      3 (see the Events of the Services)
!  packet rules  IPv4 in force, IPv6 NOT in force: no nftables
!  refused       TCP 10.96.0.1:443, for 1m1s: EPERM (next attempt in 12s)
!                fd00:96::1, for 1m1s: EPERM (next attempt after a change)
!                UDP [fd00:96::1]:53, for 1m1s: EPERM (next attempt in 3s)
                 and 137 more
!  contested     another program created TCP 10.96.0.9:80, which Service shop/web requests
!  lost nodes    n7, 1m1s ago, with 2 draining real servers
   drift         address missing 2×, virtual-server differs 1×; repaired
   ports         health 0.0.0.0:10256, metrics 127.0.0.1:10249
   config        0123456789ab, scheduler rr, config.conf
   process       12, up 1h, kernel 6.12.48
`,
  );
});

const { lastSync: _, ...neverSynced } = answer({ synced: false });

test('the daemons that synchronize connections have a line each, which is marked where one does not run', () => {
  const place = { interface: 'eth1', group: 7, address: '239.192.73.80', port: 8848 };
  const lines = statusText(
    answer({
      connectionSync: [
        { role: 'master', status: 'running', ...place },
        { role: 'backup', status: 'stopped', trouble: 'there is no such interface' },
      ],
    }),
    plainPalette,
  ).split('\n');
  const at = lines.findIndex((line) => line.includes('connection sync'));
  assert.deepEqual(lines.slice(at, at + 2), [
    '   connection sync  master on eth1, group 7',
    '!                   backup NOT running: there is no such interface',
  ]);
  const foreign = answer({ connectionSync: [{ role: 'master', status: 'foreign', ...place }] });
  assert.match(
    statusText(foreign, plainPalette),
    /^ +connection sync +master of another program on eth1, group 7$/m,
  );
});

test('the reason why a daemon is not healthy is the first step that is missing', () => {
  const source = { name: 'api', delivered: false };
  assert.deepEqual(healthProblems(answer()), []);
  assert.deepEqual(healthProblems(answer({ source, synced: false, healthy: false })), [
    'api has not delivered its objects yet',
  ]);
  assert.deepEqual(healthProblems(answer({ source: { ...source, trouble: 'refused' } })), [
    'api has not delivered its objects yet: refused',
  ]);
  assert.deepEqual(healthProblems(neverSynced), ['the first sync has not finished yet']);
  assert.deepEqual(healthProblems(answer({ synced: false })), [
    'no sync has succeeded yet; see the log for the cause',
  ]);
  assert.deepEqual(healthProblems(answer({ healthy: false })), [
    'a sync has been outstanding for too long; see the log for the cause',
  ]);
});

const main = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));

/** Runs the command against a daemon that answers so, time after time. */
const run = async (answers: readonly StatusResponse[], args: readonly string[]) => {
  const path = join(scratch, 'admin.sock');
  let asked = 0;
  const server = createServer((_request, response) => {
    response.end(JSON.stringify(answers[Math.min(asked, answers.length - 1)]));
    asked += 1;
  });
  if (answers.length > 0) await once(server.listen(path), 'listening');
  const child = execFile(process.execPath, [main, 'status', `--admin-socket=${path}`, ...args]);
  let [output, errors] = ['', ''];
  child.stdout?.on('data', (text: string) => (output += text));
  child.stderr?.on('data', (text: string) => (errors += text));
  const [code] = (await once(child, 'close')) as [number];
  server.close();
  return { code, output, errors, asked };
};

test('exit status: 0 healthy, 1 not healthy, 2 no daemon', async () => {
  const good = await run([answer()], ['--quiet']);
  assert.deepEqual(good, { code: 0, output: '', errors: '', asked: 1 });
  const bad = await run([troubled], ['--quiet']);
  assert.deepEqual(
    [bad.code, bad.output, bad.errors],
    [1, '', 'kube-ipvs: the packet rules for IPv6 are not in force: no nftables\n'],
  );
  const shown = await run([troubled], []);
  assert.deepEqual([shown.code, shown.output, shown.errors], [1, statusText(troubled, plainPalette), '']);
  const none = await run([], ['--quiet']);
  assert.equal(none.code, 2);
  assert.match(none.errors, /^kube-ipvs: cannot connect to the kube-ipvs daemon at .*no such file/);
  assert.equal((await run([], ['--admin-socket='])).code, 2);
  assert.equal((await run([], ['--wait=soon'])).code, 2);
});

test('JSON and YAML print the response unchanged', async () => {
  const { code, output, errors } = await run([troubled], ['-o', 'json']);
  assert.deepEqual([code, JSON.parse(output)], [1, troubled]);
  assert.match(errors, /not in force/);
  const { output: yaml } = await run([troubled], ['-o', 'yaml']);
  assert.deepEqual(
    parseYaml(yaml).map(({ value }) => value),
    [troubled],
  );
});

test('--wait polls until the daemon is healthy, or the time is over', async () => {
  const good = await run([neverSynced, troubled, answer()], ['--quiet', '--wait']);
  assert.deepEqual([good.code, good.asked], [0, 3]);
  const bad = await run([troubled], ['--quiet', '--wait=0.3']);
  assert.deepEqual([bad.code, bad.asked >= 2], [1, true]);
  assert.equal((await run([], ['--wait=0.3'])).code, 2);
});
