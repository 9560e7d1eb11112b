import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { after, afterEach, before, test } from 'node:test';
import { main } from '../support/program.js';
import { eventually } from '../support/daemon-process.js';
import { DrainLab, minute, pod, second, vip, web } from '../support/drain-lab.js';
import { responseProblems } from '../support/response-shapes.js';
import { addressesOf, runLine, savedTable } from '../support/lab-guest.js';
import { sctpProgram } from '../support/perl-programs.js';
import { elapse } from '../support/virtual-clock.js';

// Open connections to what is wanted no more, in virtual time: waiting costs nothing, and every deadline is the real one.

const external = '203.0.113.9';
const lab = new DrainLab();

before(() => lab.up());
afterEach(() => lab.clear());
after(() => lab.down());

test('a connection of a deleted Service goes on, new ones are refused; when it ends nothing is left', async () => {
  lab.program(web([1]));
  await lab.holds(`-a -t ${vip}:80 -r ${pod(1)}:8080 -m -w 1`);
  const client = await lab.connect(vip, 80);
  lab.program([]);
  await lab.holds(`-a -t ${vip}:80 -r ${pod(1)}:8080 -m -w 0`);
  await lab.answers(client);
  lab.isRefused(vip, 80);
  assert.deepEqual(addressesOf('kube-ipvs0', 'node'), [`${vip}/32`]);
  assert.match(lab.daemon.log, /"event":"virtual-server-orphaned"/);
  await elapse(2 * minute);
  await lab.answers(client);
  await client[Symbol.asyncDispose]();
  await lab.isGone(vip, 5 * minute);
  await eventually(() => assert.deepEqual(addressesOf('kube-ipvs0', 'node'), []));
  await eventually(() => assert.ok(!lab.rules().includes(vip), lab.rules()));
  await eventually(() =>
    assert.match(
      lab.daemon.log,
      /"event":"orphan-released","virtualServer":"TCP 10\.96\.0\.10:80","reason":"idle"/,
    ),
  );
});

for (const scheduler of ['sh', 'mh'])
  test(`with ${scheduler} no new client is rejected because its real server drains`, async () => {
    const hashed = { annotations: { 'ipvs.kube-ipvs.dev/scheduler': scheduler } };
    lab.program(web([1, 2]));
    await lab.holds(`-a -t ${vip}:80 -r ${pod(2)}:8080 -m -w 1`);
    const clients = [await lab.connect(vip, 80), await lab.connect(vip, 80)];
    lab.program(web([1, 2], hashed));
    await lab.holds(`-A -t ${vip}:80 -s ${scheduler}${scheduler === 'mh' ? ' -b mh-port' : ''}`);
    lab.program(web([1], hashed));
    await lab.holds(`-a -t ${vip}:80 -r ${pod(2)}:8080 -m -w 0`);
    for (const client of clients) await lab.answers(client);
    for (const from of ['client', 'node', 'pod2'] as const)
      assert.deepEqual(new Set(lab.network.ask(from, 'tcp', vip, 80, 20)), new Set(['pod1']), from);
  });

test('so it is with a deleted port and a deleted external IP; the rest of the Service serves on', async () => {
  lab.program(web([1], { ports: ['http:80/TCP', 'admin:81/TCP'], externalIPs: [external] }));
  await lab.holds(`-a -t ${external}:80 -r ${pod(1)}:8080 -m -w 1`);
  const [admin, outside] = [await lab.connect(vip, 81), await lab.connect(external, 80)];
  lab.program(web([1]));
  await lab.holds(`-a -t ${vip}:81 -r ${pod(1)}:8080 -m -w 0`);
  await lab.holds(`-a -t ${external}:80 -r ${pod(1)}:8080 -m -w 0`);
  await lab.isGone(`${external}:81`);
  await lab.answers(admin);
  await lab.answers(outside);
  lab.isRefused(vip, 81);
  lab.isRefused(external, 80);
  assert.deepEqual(lab.network.ask('client', 'tcp', vip, 80, 1), ['pod1']);
});

test('a Service that comes back, and an endpoint that comes back, take over in place: connections stay', async () => {
  lab.program(web([1]));
  await lab.holds(`-a -t ${vip}:80 -r ${pod(1)}:8080 -m -w 1`);
  const client = await lab.connect(vip, 80);
  for (const without of [[], web([2])]) {
    lab.program(without);
    await lab.holds(`-a -t ${vip}:80 -r ${pod(1)}:8080 -m -w 0`);
    lab.program(web([1]));
    await lab.holds(`-a -t ${vip}:80 -r ${pod(1)}:8080 -m -w 1`);
    await lab.answers(client);
    assert.deepEqual(lab.network.ask('client', 'tcp', vip, 80, 1), ['pod1']);
  }
});

test('15 minutes count over a restart, which changes nothing', async () => {
  lab.program(web([1, 2]));
  await lab.holds(`-a -t ${vip}:80 -r ${pod(2)}:8080 -m -w 1`);
  const pair = [await lab.connect(vip, 80), await lab.connect(vip, 80)];
  const began = performance.now();
  const passed = (milliseconds: number): Promise<void> =>
    elapse(Math.max(0, began + milliseconds - performance.now()));
  lab.program(web([2]));
  await lab.holds(`-a -t ${vip}:80 -r ${pod(1)}:8080 -m -w 0`);
  const client = pair.find(({ last }) => last === 'pod1');
  assert.ok(client !== undefined);
  await eventually(() =>
    assert.match(
      lab.rules(),
      /10\.96\.0\.10 \. tcp \. 80 \. 10\.244\.0\.11 \. 8080 comment "since [\d.]+ s after boot"/,
    ),
  );
  await passed(5 * minute);
  await lab.answers(client);
  const before = [savedTable('node'), lab.rules()];
  await lab.stop();
  await passed(10 * minute);
  lab.start();
  await elapse(20 * second);
  assert.deepEqual([savedTable('node'), lab.rules()], before);
  assert.doesNotMatch(lab.daemon.log, /"applied":/);
  await lab.answers(client);
  await passed(15 * minute - 20 * second);
  await lab.answers(client);
  await lab.isGone(pod(1), minute);
  const ended = performance.now() - began;
  assert.ok(ended > 15 * minute && ended < 15 * minute + 10 * second, `${ended} ms\n${lab.daemon.log}`);
  client.ask();
  await eventually(() => assert.equal(client.last, 'ECONNRESET'));
  assert.match(lab.daemon.log, /"realServer":"10\.244\.0\.11:8080","reason":"deadline"/);
  await eventually(() => assert.doesNotMatch(lab.rules(), /after boot/));
});

test('a lingering virtual server lingers on over a restart, which changes nothing, for as long as its Service said', async () => {
  const annotations = { 'ipvs.kube-ipvs.dev/drain-deadline': '90s' };
  lab.program(web([1], { annotations }));
  await lab.holds(`-a -t ${vip}:80 -r ${pod(1)}:8080 -m -w 1`);
  const client = await lab.connect(vip, 80);
  const began = performance.now();
  lab.program([]);
  await lab.holds(`-a -t ${vip}:80 -r ${pod(1)}:8080 -m -w 0`);
  await eventually(() => assert.match(lab.rules(), /after boot, for 90 s"/));
  const before = [savedTable('node'), addressesOf('kube-ipvs0', 'node'), lab.rules()];
  await lab.stop();
  lab.start();
  await elapse(20 * second);
  assert.deepEqual([savedTable('node'), addressesOf('kube-ipvs0', 'node'), lab.rules()], before);
  assert.doesNotMatch(lab.daemon.log, /"applied":/);
  await lab.answers(client);
  await lab.isGone(vip, 2 * minute);
  const ended = performance.now() - began;
  assert.ok(ended > 90 * second && ended < 95 * second, `${ended} ms\n${lab.daemon.log}`);
});

test('a UDP flow is given 5 seconds for what it asked, and goes to another pod then', async () => {
  const ports = ['dns:53/UDP'];
  lab.program(web([1], { ports }));
  await lab.holds(`-a -u ${vip}:53 -r ${pod(1)}:8080 -m -w 1`);
  const client = lab.client('udp', vip, 53);
  await eventually(() => assert.equal(client.last, 'pod1'));
  lab.program(web([2], { ports }));
  await lab.holds(`-a -u ${vip}:53 -r ${pod(1)}:8080 -m -w 0`);
  const began = performance.now();
  await lab.isGone(pod(1));
  const ended = performance.now() - began;
  assert.ok(ended > 4 * second && ended < 6 * second, `${ended} ms\n${lab.daemon.log}`);
  await eventually(() => assert.equal(client.last, 'pod2'), 5 * second);
});

test('an SCTP association is given a minute', async () => {
  const server = spawn('ip', ['netns', 'exec', 'pod1', 'perl', sctpProgram, 'stay', 'pod1', '8080'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ports = ['diameter:3868/SCTP'];
  lab.program(web([1], { ports }));
  await lab.holds(`-a --sctp-service ${vip}:3868 -r ${pod(1)}:8080 -m -w 1`);
  const client = lab.client('sctp', vip, 3868);
  await lab.answers(client);
  const began = performance.now();
  lab.program([]);
  await lab.holds(`-a --sctp-service ${vip}:3868 -r ${pod(1)}:8080 -m -w 0`);
  await elapse(began + 50 * second - performance.now());
  await lab.answers(client);
  await lab.isGone(pod(1));
  const ended = performance.now() - began;
  assert.ok(ended > 60 * second && ended < 65 * second, `${ended} ms\n${lab.daemon.log}`);
  const closed = once(server, 'close');
  server.kill();
  await closed;
});

test('a daemon tells what lingers, whose it was and for how long; after a restart not whose', async () => {
  const key = `TCP ${vip}:81`;
  const ports = ['http:80/TCP', 'admin:81/TCP'];
  lab.program(web([1], { ports }));
  await lab.holds(`-a -t ${vip}:81 -r ${pod(1)}:8080 -m -w 1`);
  await lab.connect(vip, 81);
  const said = async () => {
    const { virtualServers } = await lab.admin.virtualServers({ address: vip });
    const { lingering, counts } = await lab.admin.status();
    const { service, lingering: span, realServers } = virtualServers[key] ?? {};
    const left = span === undefined ? 0 : Math.round(span.seconds + span.secondsLeft);
    const states = Object.entries(realServers ?? {}).map(([name, { state }]) => `${name} ${state}`);
    return [service, left, states, lingering.map((one) => one.virtualServer), counts.lingering];
  };
  const tells = (service: string | undefined): Promise<void> =>
    eventually(async () =>
      assert.deepEqual(await said(), [service, 900, [`${pod(1)}:8080 draining`], [key], 1]),
    );
  lab.program(web([1]));
  await tells('default/web');
  const { report } = await lab.admin.service('default', 'web');
  assert.deepEqual(Object.keys(report?.lingering ?? {}), [key]);
  assert.deepEqual((await lab.admin.lookUp(`${vip}:81`)).matches, [
    { service: 'default/web', because: `lingering ${key}`, matched: 'virtual-server', protocol: 'TCP' },
  ]);
  lab.program([]);
  await eventually(async () => assert.equal((await lab.admin.service('default', 'web')).report, undefined));
  for (const target of ['default/web', 'web']) {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [main, 'explain', target, `--admin-socket=${lab.socket}`],
      { encoding: 'utf8' },
    );
    assert.deepEqual([status, stdout], [1, ''], stderr);
    assert.match(stderr, /no Service default\/web any more .* TCP 10\.96\.0\.10:81 \(\d+ s left\)\n$/);
  }
  const path = 'http://localhost/v1/services/default/web';
  assert.match(
    runLine(`curl -s --unix-socket ${lab.socket} ${path}`),
    /no Service default\/web any more .* TCP 10\.96\.0\.10:81 \(\d+ s left\)/,
  );
  const [plan, wanted] = [await lab.admin.plan(), await lab.admin.desired()];
  assert.deepEqual([plan.operations, wanted.virtualServers, wanted.dummyAddresses], [[], {}, []]);
  for (const [name, answer] of Object.entries({
    StatusResponse: await lab.admin.status(),
    VirtualServersResponse: await lab.admin.virtualServers(),
    ServiceReportResponse: report,
  }))
    assert.deepEqual(responseProblems(name, answer), []);
  await lab.stop();
  lab.start();
  await tells(undefined);
});
