import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { run, runLine } from '../support/lab-guest.js';
import { local, ready, serviceObject, sliceObject } from '../support/objects.js';
import { TwoNodeNetwork, type Position } from '../traffic/network.js';

// kube-ipvs beside the rules of others, and what it leaves behind in a packet, in a log and on a live Service.

const clusterIp = { IPv4: '10.96.40.1', IPv6: 'fd00:10:96::40:1' } as const;
const loadBalancer = { IPv4: '203.0.113.40', IPv6: '2001:db8:203::40' } as const;
const nodeAddress = { IPv4: '172.31.0.1', IPv6: 'fd00:31::1' } as const;
const empty = '10.96.40.2';
const families = ['IPv4', 'IPv6'] as const;
type Family = (typeof families)[number];

const pods = {
  a: { IPv4: '10.128.1.1', IPv6: 'fd00:10:128:1::1' },
  x: { IPv4: '10.128.2.1', IPv6: 'fd00:10:128:2::1' },
} as const;

const scratch = mkdtempSync(join(tmpdir(), 'neighbours-'));
const manifest = join(scratch, 'world.json');
let network: TwoNodeNetwork;
let daemon: DaemonProcess;

const nft = (...args: readonly string[]): string => run('ip', 'netns', 'exec', 'node', 'nft', ...args);

const write = (policy: 'Cluster' | 'Local', endpoints: readonly ('a' | 'x')[]): void => {
  const items = [
    serviceObject('web', {
      type: 'LoadBalancer',
      clusterIPs: Object.values(clusterIp),
      ipFamilies: families,
      ingress: Object.values(loadBalancer).map((ip) => ({ ip })),
      externalTrafficPolicy: policy,
      ports: ['t:80/TCP@30080', 'u:80/UDP@30080', 'l:81/TCP'],
    }),
    serviceObject('empty', { clusterIP: empty, ports: ['t:80/TCP', 'u:80/UDP'] }),
    ...families.map((family) =>
      sliceObject(
        'web',
        endpoints.map((pod) => (pod === 'a' ? local(ready(pods.a[family])) : ready(pods.x[family]))),
        { ports: ['t:8080/TCP', 'u:8080/UDP', 'l:8080/TCP'], family, suffix: family.toLowerCase() },
      ),
    ),
  ];
  writeFileSync(`${manifest}.next`, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  renameSync(`${manifest}.next`, manifest);
};

const ask = async (
  from: Position,
  protocol: 'tcp' | 'udp' | 'ping',
  address: string,
  port: number,
  options: { readonly patience?: number; readonly from?: number } = {},
): Promise<string> => {
  const { answers } = await network.ask(from, {
    protocol,
    address,
    port,
    patience: 3_000,
    least: 1,
    distinct: 1,
    most: 1,
    pastTimeout: false,
    ...options,
  });
  return String(answers[0]);
};

/** Without the port that the pod saw. */
const askedBy = async (...input: Parameters<typeof ask>): Promise<string> =>
  (await ask(...input)).replace(/ \d+$/, '');

// A bit that is not the default one, so that the setting is seen to work.
const bit = '0x00100000';
const foreignTables = families
  .map((family) => {
    const ip = family === 'IPv4' ? 'ip' : 'ip6';
    const to = family === 'IPv4' ? '10.128.1.1:8080' : '[fd00:10:128:1::1]:8080';
    return `
table ${ip} hostport {
  chain prerouting { type nat hook prerouting priority -100; fib daddr type local tcp dport 80 dnat to ${to}; }
  chain output { type nat hook output priority -100; fib daddr type local tcp dport 80 dnat to ${to}; }
}
table ${ip} watcher {
  counter before { }
  counter after { }
  counter own { }
  chain tag { type filter hook prerouting priority -150; meta mark set 0x1; }
  chain early { type filter hook postrouting priority 94; meta mark & ${bit} != 0 counter name before; }
  chain late { type filter hook postrouting priority 200; meta mark & ${bit} != 0 counter name after; ${ip} daddr ${pods.a[family]} meta mark 0x1 counter name own; }
}`;
  })
  .join('\n');

/** Packets that a counter of ours has seen. */
const counted = (family: Family, name: string): number => {
  const text = nft('list', 'counter', family === 'IPv4' ? 'ip' : 'ip6', 'watcher', name);
  return Number(/packets (\d+)/.exec(text)?.[1]);
};

const foreignRules = (): string =>
  ['ip', 'ip6']
    .flatMap((family) => ['hostport', 'watcher'].map((table) => nft('-s', 'list', 'table', family, table)))
    .join('\n');

let foreignBefore: string;

before(async () => {
  network = await TwoNodeNetwork.up([]);
  writeFileSync(join(scratch, 'foreign.nft'), foreignTables);
  nft('-f', join(scratch, 'foreign.nft'));
  for (const [program, to] of [
    ['iptables-legacy', '10.128.1.1:8080'],
    ['ip6tables-legacy', '[fd00:10:128:1::1]:8080'],
  ])
    runLine(
      `ip netns exec node ${program} -t nat -A PREROUTING -p tcp --dport 81 -m addrtype --dst-type LOCAL -j DNAT --to-destination ${to}`,
    );
  foreignBefore = foreignRules();
  write('Cluster', ['a']);
  const config = join(scratch, 'config.json');
  writeFileSync(
    config,
    JSON.stringify({
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
      kind: 'KubeProxyConfiguration',
      mode: 'ipvs',
      hostnameOverride: 'n1',
      clusterCIDR: '10.128.0.0/16,fd00:10:128::/48',
      iptables: { masqueradeBit: 20 },
      ipvs: { minSyncPeriod: '0s' },
    }),
  );
  daemon = new DaemonProcess([`--source=${manifest}`, `--config=${config}`], { namespace: 'node' });
  await eventually(async () => {
    for (const family of families)
      assert.equal(
        await ask('client', 'tcp', loadBalancer[family], 80, { patience: 500 }).then((answer) => answer[0]),
        'a',
        daemon.log,
      );
  });
});
after(async () => {
  assert.equal(await daemon.stop(), 0);
  await network[Symbol.asyncDispose]();
});

for (const family of families) {
  test(`${family}: a hostPort of a CNI on the same port does not take a VIP, and keeps the node's own addresses`, async () => {
    const bridge = family === 'IPv4' ? '10.128.1.254' : 'fd00:10:128:1::fe';
    const client = family === 'IPv4' ? '172.31.0.2' : 'fd00:31::2';
    // One is a rule of nftables, one of iptables.
    for (const port of [80, 81]) {
      for (const address of [clusterIp[family], loadBalancer[family]])
        for (const from of ['client', 'node'] as const)
          assert.equal(await askedBy(from, 'tcp', address, port), `a ${bridge}`);
      assert.equal(await askedBy('client', 'tcp', nodeAddress[family], port), `a ${client}`);
    }
  });

  test(`${family}: the mark is there until a packet is masqueraded and never after; the marks of others stay`, async () => {
    const marked = counted(family, 'before');
    const own = counted(family, 'own');
    for (const protocol of ['tcp', 'udp'] as const)
      assert.match(await ask('client', protocol, loadBalancer[family], 80), /^a /);
    assert.ok(counted(family, 'before') > marked);
    assert.ok(counted(family, 'own') > own);
    assert.equal(counted(family, 'after'), 0);
  });

  test(`${family}: a masqueraded request never comes from a node port, not even where the client used it`, async () => {
    for (const from of [30_000, 31_000, 32_767])
      for (const protocol of ['tcp', 'udp'] as const) {
        const port = Number(
          (await ask('client', protocol, loadBalancer[family], 80, { from })).split(' ')[2],
        );
        assert.ok(port < 30_000 || port > 32_767, `${protocol} from ${from} was seen from ${port}`);
        assert.ok(port >= 1_024, `${protocol} from ${from} was seen from ${port}`);
      }
  });
}

test('a client that uses its port again at once is answered at once', async () => {
  for (const address of [clusterIp.IPv4, loadBalancer.IPv4, clusterIp.IPv6])
    for (let time = 1; time <= 5; time += 1) {
      const started = performance.now();
      assert.match(await ask('client', 'tcp', address, 80, { from: 9_000 }), /^a /);
      assert.ok(performance.now() - started < 900, `${address}, time ${time}`);
    }
});

test('without endpoints a request is refused at once, and the kernel writes no line for it', async () => {
  const log = run('dmesg');
  for (const from of ['client', 'node', 'c'] as const)
    for (const protocol of ['tcp', 'udp'] as const) {
      const started = performance.now();
      assert.equal(await ask(from, protocol, empty, 80), 'refused');
      // A first packet that was lost would be sent again after a second.
      assert.ok(performance.now() - started < 900, `${from} ${protocol}`);
    }
  assert.doesNotMatch(run('dmesg').slice(log.length), /IPVS/);
});

/** Waits until the requests of the client and of the pod c are answered so. */
const becomes = (client: string, pod: string): Promise<void> =>
  eventually(async () => {
    for (const protocol of ['tcp', 'udp'] as const) {
      assert.equal(
        await askedBy('client', protocol, loadBalancer.IPv4, 80, { patience: 500 }),
        client,
        daemon.log,
      );
      assert.equal(await askedBy('c', protocol, loadBalancer.IPv4, 80, { patience: 500 }), pod, daemon.log);
    }
  });

test('traffic follows the policy and the endpoints of a Service that changes', async () => {
  await becomes('a 10.128.1.254', 'a 10.128.1.254');
  write('Local', ['a']);
  await becomes('a 172.31.0.2', 'a 10.128.1.3');
  write('Local', ['x']);
  await becomes('timeout', 'x 10.128.1.3');
  write('Local', []);
  await becomes('refused', 'refused');
  write('Cluster', ['x']);
  await becomes('x 10.201.0.1', 'x 10.201.0.1');
  // Not pod a, to which the hostPort leads.
  assert.match(await ask('node', 'tcp', loadBalancer.IPv4, 80), /^x /);
  write('Cluster', ['a']);
  await becomes('a 10.128.1.254', 'a 10.128.1.254');
});

test('the tables of others are as they were', () => {
  assert.equal(foreignRules(), foreignBefore);
});
