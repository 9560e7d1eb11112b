import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ClusterNetwork } from '../support/cluster-network.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { addressesOf, run, runLine, savedTable } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';
import { SingleSocketClient } from '../support/single-socket-client.js';

// A changed config file under a running daemon, its connections and those of its clients.

const folder = mkdtempSync(join(tmpdir(), 'reload-'));
const config = join(folder, 'config.conf');
const manifest = join(mkdtempSync(join(tmpdir(), 'reload-world-')), 'world.json');
const virtual = '10.96.0.10';
let network: ClusterNetwork;
let daemon: DaemonProcess;
let client: SingleSocketClient;
let versions = 0;

/** Puts a new file in place as the kubelet does for a ConfigMap volume. */
const configure = (fields: string): void => {
  versions += 1;
  const version = `..${versions}`;
  mkdirSync(join(folder, version));
  writeFileSync(
    join(folder, version, 'config.conf'),
    `apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\n${fields}`,
  );
  symlinkSync(version, join(folder, '..data_tmp'));
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
};

const inNode = (line: string): string => runLine(`ip netns exec node ${line}`);
const rules = (): string => inNode('nft list table ip kube-ipvs');

/** The connection that was opened before the first change still reaches the same pod. */
const expectAnswer = async (): Promise<void> => {
  const answers = client.lines.length;
  client.ask();
  await eventually(() => assert.equal(client.lines.length, answers + 1));
  assert.equal(client.last, client.lines[0]?.text);
};

/** Tracked connections to the Service: whose they are, and where answers go. */
const flows = () =>
  inNode(`conntrack -L -p tcp --orig-dst ${virtual}`)
    .split('\n')
    .filter((line) => line.includes('dport=80'))
    .map((line) => {
      const source = /src=(\S+)/.exec(line)?.[1];
      const answersGoTo = /dst=\S+ .*dst=(\S+)/.exec(line)?.[1];
      return { source, answersGoTo };
    });

/** Services by their names, at these addresses, each with both pods. */
const program = (services: Readonly<Record<string, string>>): void => {
  const items = Object.entries(services).flatMap(([name, address]) => [
    serviceObject(name, { clusterIPs: [address], ports: ['http:80/TCP'] }),
    sliceObject(name, [ready('10.244.0.11'), ready('10.244.0.12')], { ports: ['http:8080/TCP'] }),
  ]);
  writeFileSync(`${manifest}.next`, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  renameSync(`${manifest}.next`, manifest);
};

before(async () => {
  network = await ClusterNetwork.up(2);
  program({ web: virtual, other: '10.96.9.9', third: '10.96.8.8' });
  configure('');
  symlinkSync('..data/config.conf', config);
  daemon = new DaemonProcess([`--source=${manifest}`, `--config=${config}`, '--hostname-override=n1'], {
    namespace: 'node',
  });
  await eventually(() => assert.equal(savedTable('node').length, 9, daemon.log));
  client = new SingleSocketClient('client', 'tcp', virtual, 80);
  client.ask();
  await eventually(() => assert.match(client.last, /^pod/));
});
after(async () => {
  assert.equal(await daemon.stop(), 0, daemon.log);
  await client[Symbol.asyncDispose]();
  await network[Symbol.asyncDispose]();
});

test('another scheduler is the same virtual server with the same connections', async () => {
  configure('ipvs: {scheduler: lc}\n');
  await eventually(() =>
    assert.ok(savedTable('node').includes(`-A -t ${virtual}:80 -s lc`), savedTable('node').join('\n')),
  );
  await expectAnswer();
  assert.match(
    run('ip', 'netns', 'exec', 'node', 'ipvsadm', '-Lnc'),
    /10\.96\.0\.10:80 .*10\.244\.0\.1[12]:8080/,
  );
});

test('masquerading is decided anew for new connections, and stays as it was for those there are', async () => {
  assert.doesNotMatch(rules(), /0x00000080/);
  configure('ipvs: {scheduler: lc}\niptables: {masqueradeAll: true, masqueradeBit: 7}\n');
  await eventually(() => assert.match(rules(), /0x00000080/));
  await expectAnswer();
  for (const answer of network.ask('client', 'tcp', virtual, 80, 2)) assert.match(answer, /^pod/);
  const sources = new Set(flows().map(({ source, answersGoTo }) => source === answersGoTo));
  assert.deepEqual(sources, new Set([true, false]), 'those from before keep their address, new ones do not');
});

test('kernel settings and IPVS timeouts follow', async () => {
  configure('ipvs: {strictARP: true, tcpFinTimeout: 77s}\nconntrack: {tcpCloseWaitTimeout: 33m}\n');
  await eventually(() => {
    assert.match(run('ip', 'netns', 'exec', 'node', 'ipvsadm', '-L', '--timeout'), /\b77\b/);
    assert.match(inNode('sysctl -n net.ipv4.conf.all.arp_announce'), /^2/);
    assert.match(inNode('sysctl -n net.netfilter.nf_conntrack_tcp_timeout_close_wait'), /^1980/);
  });
  await eventually(() => assert.ok(savedTable('node').includes(`-A -t ${virtual}:80 -s rr`)));
  await expectAnswer();
});

test('where NodePorts and external IPs are served, and which pods are known, follows', async () => {
  const items = [
    serviceObject('web', { clusterIPs: [virtual], ports: ['http:80/TCP'] }),
    serviceObject('shop', {
      type: 'NodePort',
      clusterIPs: ['10.96.0.20'],
      externalIPs: ['203.0.113.7'],
      ports: ['http:80/TCP@30080'],
    }),
    sliceObject('web', [ready('10.244.0.11'), ready('10.244.0.12')], { ports: ['http:8080/TCP'] }),
  ];
  writeFileSync(`${manifest}.next`, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  renameSync(`${manifest}.next`, manifest);
  const nodePorts = (): number => savedTable('node').filter((line) => /^-A .*:30080 /.test(line)).length;
  const hasExternalIp = (): boolean => savedTable('node').some((line) => line.includes('203.0.113.7:80'));
  await eventually(() => assert.ok(hasExternalIp()));
  const everywhere = nodePorts();
  assert.ok(everywhere >= 2, savedTable('node').join('\n'));
  configure(
    'nodePortAddresses: [10.244.0.0/16]\nfeatureGates: {AllowServiceExternalIPs: false}\nclusterCIDR: 10.244.0.0/16\n',
  );
  await eventually(() => {
    assert.ok(nodePorts() < everywhere && !hasExternalIp(), savedTable('node').join('\n'));
    assert.match(rules(), /ip saddr (!= )?10\.244\.0\.0\/16/);
  });
  configure('detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: veth}\n');
  await eventually(() => {
    assert.ok(nodePorts() === everywhere && hasExternalIp());
    assert.match(rules(), /iifname (!= )?"veth\*"/);
  });
  await expectAnswer();
  program({ web: virtual, other: '10.96.9.9', third: '10.96.8.8' });
  await eventually(() => assert.equal(savedTable('node').length, 9));
});

test('virtual servers within excludeCIDRs are not deleted from then on', async () => {
  configure('ipvs: {excludeCIDRs: [10.96.9.0/24]}\n');
  await eventually(() => assert.match(daemon.log, /excludeCIDRs: \[\] → /));
  program({ web: virtual });
  const isThere = (address: string): boolean => savedTable('node').includes(`-A -t ${address}:80 -s rr`);
  await eventually(() => assert.ok(!isThere('10.96.8.8')));
  await eventually(() => assert.ok(!addressesOf('kube-ipvs0', 'node').includes('10.96.8.8/32')));
  assert.ok(addressesOf('kube-ipvs0', 'node').includes('10.96.9.9/32'));
  assert.ok(isThere('10.96.9.9'));
  await expectAnswer();
  // Not only with the next resync, which is far away.
  configure('ipvs: {syncPeriod: 10m}\n');
  await eventually(() => assert.ok(!isThere('10.96.9.9')));
  await eventually(() => assert.ok(!addressesOf('kube-ipvs0', 'node').includes('10.96.9.9/32')));
  await expectAnswer();
});

test('an invalid file, and a scheduler that the kernel lacks, change nothing', async () => {
  const table = savedTable('node');
  configure('ipvs: {scheduler: lc, syncPeriod: soon}\n');
  await eventually(() => assert.match(daemon.log, /config\.conf:4: ipvs\.syncPeriod must be a duration/));
  configure('ipvs: {scheduler: best}\n');
  await eventually(() => assert.match(daemon.log, /this kernel has no IPVS scheduler \\"best\\"/));
  assert.deepEqual(savedTable('node'), table);
  await expectAnswer();
});

test('what counts after a restart only is named, and the rest is done', async () => {
  configure('hostnameOverride: n2\nhealthzBindAddress: 127.0.0.1:1\nipvs: {scheduler: wlc}\n');
  await eventually(() => assert.ok(savedTable('node').includes(`-A -t ${virtual}:80 -s wlc`)));
  await eventually(() => assert.match(daemon.log, /"configuration-needs-restart".*healthzBindAddress: /));
  assert.doesNotMatch(daemon.log, /hostnameOverride: /, 'the flag wins over the file, as before');
  await expectAnswer();
});
