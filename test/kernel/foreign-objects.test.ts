import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { VipBinding } from '../../src/model/settings/vip-binding.js';
import { main } from '../support/program.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { addressesOf, run, runLine, savedTable, vipRoutesOf } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject, type ServiceSpec } from '../support/objects.js';
import { elapse } from '../support/virtual-clock.js';

// Things of others of every kind, some of them in our way, and everything that we ever do: they are the same afterwards.

const folder = mkdtempSync(join(tmpdir(), 'foreign-'));
const manifest = join(folder, 'world.json');
const config = join(folder, 'config.yaml');
const node = '192.0.2.10';

/** The virtual servers of others: on a VIP of ours, where a Service wants its own, on node ports, inside of excludeCIDRs, by mark. */
const foreignTable = [
  '-A -f 5 -s rr',
  '-A -t 10.96.0.10:9999 -s wlc',
  '-A -t 10.96.0.11:80 -s wlc',
  '-A -t 10.96.9.1:80 -s lc -p 90',
  `-A -t ${node}:30999 -s wlc`,
  `-A -t ${node}:31000 -s rr`,
  '-A -t 198.51.100.80:80 -s sh',
  '-A -t [fd00:96::11]:80 -s wlc',
  '-A -u 10.96.0.11:53 -s wlc',
  '-a -f 5 -r 10.250.0.9:0 -g -w 1',
  '-a -t 10.96.0.11:80 -r 10.250.0.1:80 -i -w 7 --tun-type ipip',
  '-a -t 10.96.9.1:80 -r 10.250.0.2:80 -m -w 0',
  `-a -t ${node}:30999 -r 10.250.0.1:80 -m -w 3`,
  '-a -t [fd00:96::11]:80 -r [fd00:250::1]:80 -m -w 4',
  '-a -u 10.96.0.11:53 -r 10.250.0.1:53 -m -w 1',
].toSorted();
const foreignPlaces = foreignTable
  .filter((line) => line.startsWith('-A'))
  .map((line) => line.split(' ').slice(1, 3).join(' '));

const shell = (script: string, input = ''): string =>
  execFileSync('sh', ['-ec', script], { encoding: 'utf8', input, stdio: ['pipe', 'pipe', 'pipe'] });

const makeForeignThings = (): void => {
  shell(`
    ip link set lo up
    ip link add eth0 type dummy; ip address add ${node}/24 dev eth0; ip link set eth0 up
    ip address add 198.51.100.80/32 dev eth0
    ip link add kube-ipvs1 type dummy; ip address add 10.96.7.6/32 dev kube-ipvs1; ip address add 10.96.7.7/32 dev kube-ipvs1
    ip route add local 10.96.0.10 dev lo table local proto static
    ip route add local 10.96.9.1 dev eth0 table local proto 66
    ip -6 route add local fd00:96::11 dev lo table local proto static metric 20
    nft -f - <<E
      table inet firewall { set s { type ipv4_addr; elements = { 192.0.2.1 }; }; map m { type inet_service : verdict; elements = { 22 : accept }; }; chain c { type filter hook input priority 0; ip saddr @s accept; tcp dport vmap @m; }; }
      table ip kube-ipvs-other { set services { type ipv4_addr . inet_proto . inet_service; elements = { 10.96.0.11 . tcp . 80 }; }; chain input { return; }; }
E
    ipset create KUBE-CLUSTER-IP hash:ip,port; ipset add KUBE-CLUSTER-IP 10.96.0.11,tcp:80; ipset create mine hash:ip; ipset add mine 192.0.2.7
    iptables-nft -t nat -N MINE; iptables-nft -t nat -A PREROUTING -d 10.96.0.11 -j MINE
    iptables-legacy -N KUBE-IPVS-FILTER; iptables-legacy -A INPUT -d 192.0.2.200 -j KUBE-IPVS-FILTER
    sysctl -qw net.ipv4.vs.drop_entry=1 net.ipv4.vs.sloppy_tcp=1 net.ipv4.conf.eth0.rp_filter=2 net.netfilter.nf_conntrack_icmp_timeout=77
  `);
  shell('ipvsadm -R', foreignTable.map((line) => `${line.replace(' --tun-type ipip', '')}\n`).join(''));
  shell(`
    conntrack -I -p udp -s 192.0.2.50 -d 10.96.0.11 --sport 5000 --dport 53 --reply-src 10.250.0.1 --reply-dst 192.0.2.50 --reply-port-src 53 --reply-port-dst 5000 --timeout 9000
    conntrack -I -p udp -s 192.0.2.50 -d 192.0.2.60 --sport 5001 --dport 30080 --timeout 9000
    conntrack -I -p tcp -s 192.0.2.50 -d 10.96.0.11 --sport 5002 --dport 80 --reply-src 10.250.0.1 --reply-dst 192.0.2.50 --reply-port-src 80 --reply-port-dst 5002 --timeout 9000 --state ESTABLISHED
    conntrack -I -p udp -s 192.0.2.50 -d 10.96.0.10 --sport 5003 --dport 9999 --timeout 9000
  `);
};

/** What moves by itself, or is ours by name. */
const isOfOthers = (line: string): boolean =>
  !/kube-ipvs0|nf_conntrack_count|entropy|expect_|_gc_|random/.test(line);

/** Everything of others, as the tools print it. */
const foreignThings = () => {
  const table = savedTable();
  return {
    virtualServers: table.filter((line) =>
      foreignPlaces.some((place) => line.slice(3).startsWith(`${place} `)),
    ),
    addresses: shell('ip -o address show')
      .split('\n')
      .filter(isOfOthers)
      .map((line) => line.replace(/^\d+: /, '')),
    routes: shell('ip route show table local; ip -6 route show table local')
      .split('\n')
      .filter((line) => /proto (static|66)/.test(line)),
    nftables: shell(
      'for t in "inet firewall" "ip kube-ipvs-other" "ip nat"; do nft -a list table $t; done',
    ).replaceAll(/counter packets \d+ bytes \d+/g, 'counter'),
    otherTables: shell('nft list tables')
      .split('\n')
      .filter((line) => !line.endsWith(' kube-ipvs')),
    ipsets: shell('ipset save'),
    iptables: shell('iptables-nft-save; iptables-legacy-save')
      .split('\n')
      .filter((line) => !line.startsWith('#'))
      .map((line) => line.replace(/ \[\d+:\d+\]/, '')),
    flows: shell('conntrack -L -s 192.0.2.50 2>/dev/null || true')
      .split('\n')
      .map((line) => line.replace(/^(\w+ +\d+) \d+/, '$1'))
      .toSorted(),
    sysctls: shell('sysctl -a 2>/dev/null | grep ^net').split('\n').filter(isOfOthers),
  };
};

const services: Readonly<Record<string, ServiceSpec>> = {
  web: { type: 'NodePort', clusterIP: '10.96.0.10', ports: ['http:80/TCP@30080'] },
  // Two of three ports, and one family, are somebody else's.
  contested: {
    clusterIPs: ['10.96.0.11', 'fd00:96::11'],
    ipFamilies: ['IPv4', 'IPv6'],
    ports: ['http:80/TCP', 'dns:53/UDP', 'tls:443/TCP'],
  },
  np: { type: 'NodePort', clusterIP: '10.96.0.12', ports: ['http:80/TCP@30999'] },
};

const program = (
  pods: readonly string[],
  names: readonly string[] = Object.keys(services),
  extra = {},
): void => {
  const items = names.flatMap((name) => [
    serviceObject(name, { ...(services[name] as ServiceSpec), ...extra }),
    sliceObject(
      name,
      pods.map((pod) => ready(pod)),
      { ports: ['http:8080/TCP', 'dns:8080/UDP', 'tls:8443/TCP'] },
    ),
    sliceObject(
      name,
      pods.map((pod) => ready(`fd00:244::${pod.split('.')[3]}`)),
      {
        ports: ['http:8080/TCP', 'tls:8443/TCP'],
        family: 'IPv6',
        suffix: 'v6',
      },
    ),
  ]);
  writeFileSync(`${manifest}.next`, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  renameSync(`${manifest}.next`, manifest);
};

const configure = (fields = '', binding: VipBinding = 'address'): void => {
  writeFileSync(
    `${config}.next`,
    `apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\nnodePortAddresses: [192.0.2.0/24]\n` +
      `ipvs: {syncPeriod: 1s, excludeCIDRs: [10.96.9.0/24]${fields}}\n` +
      `---\napiVersion: kube-ipvs.dev/v1alpha1\nkind: KubeIpvsConfiguration\nvips: {binding: ${binding}}\n`,
  );
  renameSync(`${config}.next`, config);
};

const lines = (pattern: RegExp): readonly string[] => savedTable().filter((line) => pattern.test(line));
const start = (): DaemonProcess => new DaemonProcess([`--config=${config}`, `--source=${manifest}`]);
const served = async (daemon: DaemonProcess, pods: number): Promise<void> =>
  eventually(() => assert.equal(lines(/10\.96\.0\.10:80/).length, 1 + pods, daemon.log.slice(-1_500)));

let untouched: ReturnType<typeof foreignThings>;
let daemon: DaemonProcess;
const unharmed = (): void => assert.deepEqual(foreignThings(), untouched);

before(() => {
  configure();
  program([]);
  // The settings that we make are not undone: they are made before anything is compared.
  const once = spawnSync(process.execPath, [main, `--config=${config}`, '--init-only'], { encoding: 'utf8' });
  assert.equal(once.status, 0, once.stderr);
  makeForeignThings();
  untouched = foreignThings();
  assert.deepEqual(untouched.virtualServers, foreignTable);
  assert.equal(untouched.flows.filter((line) => line !== '').length, 4);
});
after(async () => {
  await daemon[Symbol.asyncDispose]();
});

test('at the start what is in our way is left and told, and everything else is served', async () => {
  program(['10.244.0.1']);
  daemon = start();
  await served(daemon, 1);
  assert.deepEqual(lines(/10\.96\.0\.11:443/), [
    '-A -t 10.96.0.11:443 -s rr',
    '-a -t 10.96.0.11:443 -r 10.244.0.1:8443 -m -w 1',
  ]);
  for (const place of ['TCP 10.96.0.11:80', 'UDP 10.96.0.11:53', 'TCP [fd00:96::11]:80', `TCP ${node}:30999`])
    await eventually(() => assert.ok(daemon.log.includes(`"problem":"${place} is in the kernel`), place));
  assert.equal(daemon.log.match(/ForeignVirtualServer","problem/g)?.length, 4);
  const page = await (await fetch('http://127.0.0.1:10249/metrics')).text();
  assert.match(page, /^kube_ipvs_contested_virtual_servers 4$/m);
  assert.match(page, /^kube_ipvs_foreign_virtual_servers 9$/m);
  unharmed();
});

test('none of our packet rules names what is contested, and no rule of a VIP covers what stands there alone', () => {
  const rules = runLine('nft list table ip kube-ipvs') + runLine('nft list table ip6 kube-ipvs');
  assert.ok(rules.includes('10.96.0.11 . tcp . 443'));
  assert.doesNotMatch(rules, /10\.96\.0\.11 \. tcp \. 80|10\.96\.0\.11 \. udp|fd00:96::11 \. tcp \. 80\b/);
});

test('a resync of an unchanged world changes nothing', async () => {
  const page = async (): Promise<string> => await (await fetch('http://127.0.0.1:10249/metrics')).text();
  const counted = (text: string, name: RegExp): readonly string[] =>
    text.split('\n').filter((line) => name.test(line) && !line.startsWith('#'));
  const before = await page();
  await elapse(3_500);
  const now = await page();
  for (const name of [/^kube_ipvs_operations_total/, /^kube_ipvs_drift_repaired_total/])
    assert.deepEqual(counted(now, name), counted(before, name));
  assert.ok(counted(now, /^kube_ipvs_operations_total/).length > 0);
});

test('endpoints that come and go, all at once too', async () => {
  for (const pods of [['10.244.0.1', '10.244.0.2'], [], ['10.244.0.3']]) {
    program(pods);
    await served(daemon, pods.length);
    unharmed();
  }
});

test('Services that change their scheduler and affinity, go and return', async () => {
  const annotations = { 'ipvs.kube-ipvs.dev/scheduler': 'sh' };
  program(['10.244.0.3'], undefined, { annotations, sessionAffinity: 'ClientIP' });
  await eventually(() =>
    assert.deepEqual(lines(/-A -t 10\.96\.0\.10:80/), ['-A -t 10.96.0.10:80 -s sh -p 10800']),
  );
  unharmed();
  program([], []);
  await eventually(() => assert.deepEqual(lines(/:443|10\.96\.0\.10:80 |:30080/), []));
  unharmed();
  program(['10.244.0.3']);
  await served(daemon, 1);
  unharmed();
});

test('resyncs, and the repair of what is ours', async () => {
  runLine('ipvsadm -D -t 10.96.0.10:80');
  runLine('nft delete table ip kube-ipvs');
  runLine('ip link delete kube-ipvs0');
  await served(daemon, 1);
  await eventually(() => assert.ok(addressesOf('kube-ipvs0').includes('10.96.0.11/32')));
  await elapse(2_500);
  unharmed();
});

test('a changed configuration', async () => {
  configure(', scheduler: lc');
  await eventually(() => assert.deepEqual(lines(/-A -t 10\.96\.0\.10:80/), ['-A -t 10.96.0.10:80 -s lc']));
  unharmed();
});

test('VIPs as local routes, and as addresses again', async () => {
  configure(', scheduler: lc', 'route');
  await eventually(() => {
    assert.ok(vipRoutesOf().includes('10.96.0.10/32'));
    assert.deepEqual(addressesOf('kube-ipvs0'), []);
  });
  await elapse(2_500);
  unharmed();
  configure(', scheduler: lc');
  await eventually(() => {
    assert.ok(addressesOf('kube-ipvs0').includes('10.96.0.10/32'));
    assert.deepEqual(vipRoutesOf(), []);
  });
  unharmed();
});

for (const signal of ['SIGTERM', 'SIGKILL', 'SIGKILL'] as const)
  test(`a restart after ${signal}`, async () => {
    program(['10.244.0.3', '10.244.0.4']);
    await daemon.stop(signal);
    program(['10.244.0.4']);
    daemon = start();
    // The one before may have left other real servers, as many.
    await eventually(() => assert.deepEqual(lines(/10\.244\.0\.3:|fd00:244::3\]/), []), 60_000);
    await served(daemon, 1);
    await elapse(1_500);
    unharmed();
  });

test('a restart that finds everything as it is changes nothing at all', async () => {
  await daemon.stop();
  const all = savedTable();
  const rules = runLine('nft list ruleset');
  const once = spawnSync(process.execPath, [main, `--config=${config}`, `--source=${manifest}`, '--once'], {
    encoding: 'utf8',
  });
  assert.match(once.stderr, /applied=0|"applied":0/);
  assert.deepEqual([savedTable(), runLine('nft list ruleset')], [all, rules]);
  unharmed();
});

test('what was in our way is taken over in place where the Service says so, and ours is made where it has gone', async () => {
  daemon = start();
  await served(daemon, 1);
  program(['10.244.0.4'], ['web', 'contested'], {
    annotations: { 'ipvs.kube-ipvs.dev/take-over-foreign': 'true' },
  });
  await eventually(() =>
    assert.deepEqual(lines(/-t 10\.96\.0\.11:80/), [
      '-A -t 10.96.0.11:80 -s lc',
      '-a -t 10.96.0.11:80 -r 10.244.0.4:8080 -m -w 1',
    ]),
  );
  program(['10.244.0.4']);
  runLine(`ipvsadm -D -t ${node}:30999`);
  await eventually(() =>
    assert.deepEqual(lines(/:30999/), [
      `-A -t ${node}:30999 -s lc`,
      `-a -t ${node}:30999 -r 10.244.0.4:8080 -m -w 1`,
    ]),
  );
  // Back to where it was: somebody has them again.
  program([], []);
  await eventually(() => assert.deepEqual(lines(/10\.96\.0\.11|:30999/), []));
  const again = foreignTable.filter((line) => /10\.96\.0\.11|fd00:96::11|:30999/.test(line));
  shell('ipvsadm -R', again.map((line) => `${line.replace(' --tun-type ipip', '')}\n`).join(''));
  program(['10.244.0.4']);
  await served(daemon, 1);
  assert.deepEqual(foreignThings().virtualServers, foreignTable);
});

test('a cleanup', async () => {
  await daemon.stop();
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'cleanup', `--config=${config}`], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /removed virtual server TCP 10\.96\.0\.11:443/);
  assert.deepEqual(savedTable(), foreignTable);
  assert.equal(run('nft', 'list', 'tables').includes(' kube-ipvs\n'), false);
  // VIPs that what is not ours stands on stay, and no others.
  assert.deepEqual(addressesOf('kube-ipvs0'), ['10.96.0.10/32', '10.96.0.11/32', 'fd00:96::11/128']);
  const { flows: _before, ...others } = untouched;
  const { flows: _after, ...now } = foreignThings();
  assert.deepEqual(now, others);
});
