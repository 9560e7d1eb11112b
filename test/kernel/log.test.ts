import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { LogRecord } from '../../src/admin-api/log-response.js';
import { AdminClient } from '../../src/cli/admin/admin-client.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { addressesOf, runLine, savedTable } from '../support/lab-guest.js';
import { ready, serviceObject, sliceObject, thisNode } from '../support/objects.js';
import { main } from '../support/program.js';
import { responseProblems } from '../support/response-shapes.js';

// What the log says against what the kernel has: each change is in it with its cause.

const scratch = mkdtempSync(join(tmpdir(), 'kube-ipvs-log-'));
const [manifest, config, socket] = ['world.json', 'config.conf', 'admin.sock'].map((name) =>
  join(scratch, name),
) as [string, string, string];
const client = new AdminClient(socket);
let daemon: DaemonProcess;

const replaceFile = (path: string, text: string): void => {
  writeFileSync(`${path}.next`, text);
  renameSync(`${path}.next`, path);
};

/** Services `shop/NAME` on port 80 of a VIP, with these pods. */
const program = (
  services: Readonly<Record<string, readonly [address: string, pods: readonly number[]]>>,
): void => {
  const items = Object.entries(services).flatMap(([name, [address, pods]]) => [
    serviceObject(`shop/${name}`, { clusterIPs: [address], ports: ['http:80/TCP'] }),
    sliceObject(
      `shop/${name}`,
      pods.map((pod) => ({ ...ready(`10.244.0.${pod}`), pod: `${name}-${pod}` })),
      { ports: ['http:8080/TCP'] },
    ),
  ]);
  replaceFile(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
};

const configure = (scheduler: string): void =>
  replaceFile(
    config,
    `apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\nipvs: {scheduler: ${scheduler}, syncPeriod: 2s}\n`,
  );

const start = (): DaemonProcess =>
  new DaemonProcess([
    `--source=${manifest}`,
    `--config=${config}`,
    `--hostname-override=${thisNode}`,
    `--admin-socket=${socket}`,
  ]);

let seen = '0';

/** The records since the last call, once there is one that matches. */
const recordsUntil = (isLast: (record: LogRecord) => boolean): Promise<readonly LogRecord[]> =>
  eventually(async () => {
    const { records, lastId } = await client.log({ after: seen });
    assert.ok(records.some(isLast), `${JSON.stringify(records, undefined, 1)}\n${daemon.log}`);
    seen = String(lastId);
    return records;
  });

const isChange =
  (op: string, key: string) =>
  (record: LogRecord): boolean =>
    record.event === 'changed' && record.op === op && record.key === key;

const changeOf = (records: readonly LogRecord[], op: string, key: string): LogRecord => {
  const found = records.find(isChange(op, key));
  assert.ok(found !== undefined, `${op} ${key}: ${JSON.stringify(records, undefined, 1)}`);
  return found;
};

before(() => {
  for (const line of [
    'ip link set lo up',
    'ip link add eth0 type dummy',
    'ip address add 192.0.2.10/24 dev eth0',
    'ip link set eth0 up',
  ])
    runLine(line);
  program({ web: ['10.96.0.1', [1, 2]] });
  configure('rr');
  daemon = start();
});
after(async () => {
  assert.equal(await daemon.stop(), 0, daemon.log);
});

test('the first sync is in the log, with its Service and the start as its cause', async () => {
  const records = await recordsUntil(isChange('add', '10.96.0.1/32'));
  assert.deepEqual(
    records.map(({ event }) => event).filter((event) => event !== 'changed'),
    ['started', 'interface-created', 'rules-declared', 'rules-declared'],
  );
  for (const [op, key] of [
    ['add', 'TCP 10.96.0.1:80'],
    ['add', '10.244.0.1:8080'],
    ['add', 'IPv4 cluster-ip 10.96.0.1 . TCP . 80'],
    ['add', '10.96.0.1/32'],
  ] as const) {
    const { cause, service } = changeOf(records, op, key);
    assert.deepEqual([cause, service], ['start', 'shop/web'], key);
  }
  const { pod, node } = changeOf(records, 'add', '10.244.0.2:8080');
  assert.deepEqual([pod, node], ['shop/web-2', 'n2']);
});

test('changed EndpointSlices are the cause of real servers that come and drain', async () => {
  program({ web: ['10.96.0.1', [2, 3]] });
  const records = await recordsUntil(isChange('remove', '10.244.0.1:8080'));
  assert.equal(changeOf(records, 'add', '10.244.0.3:8080').cause, 'endpoints-changed');
  const { cause, wanted, found } = changeOf(records, 'change', '10.244.0.1:8080');
  assert.deepEqual([cause, wanted, found], ['endpoints-changed', { weight: 0 }, { weight: 1 }]);
  assert.equal(changeOf(records, 'remove', '10.244.0.1:8080').cause, 'drain-ended');
  const drains = records.filter(({ event }) => event.startsWith('drain-'));
  assert.deepEqual(
    drains.map(({ event, cause: why, virtualServer, key, pod, reason, service }) =>
      [event, why, virtualServer, key, pod, reason, service].join(' '),
    ),
    [
      'drain-begun endpoints-changed TCP 10.96.0.1:80 10.244.0.1:8080 shop/web-1  shop/web',
      'drain-ended  TCP 10.96.0.1:80 10.244.0.1:8080 shop/web-1 idle shop/web',
    ],
  );
});

test('what another program changed and kube-ipvs repaired is drift', async () => {
  runLine('ipvsadm -d -t 10.96.0.1:80 -r 10.244.0.3:8080');
  runLine('ipvsadm -e -t 10.96.0.1:80 -r 10.244.0.2:8080 -m -w 7');
  const repaired = await recordsUntil(isChange('add', '10.244.0.3:8080'));
  assert.equal(changeOf(repaired, 'add', '10.244.0.3:8080').cause, 'drift');
  const { cause, wanted, found } = changeOf(repaired, 'change', '10.244.0.2:8080');
  assert.deepEqual([cause, wanted, found], ['drift', { weight: 1 }, { weight: 7 }]);
  runLine('ip address delete 10.96.0.1/32 dev kube-ipvs0');
  const bound = await recordsUntil(isChange('add', '10.96.0.1/32'));
  assert.equal(changeOf(bound, 'add', '10.96.0.1/32').cause, 'drift');
  runLine('nft delete table ip kube-ipvs');
  const declared = await recordsUntil(({ event }) => event === 'rules-declared');
  assert.deepEqual(
    declared.filter(({ event }) => event === 'rules-declared').map(({ family, cause: why }) => [family, why]),
    [['IPv4', 'drift']],
  );
});

test('a new Service, a conflict with another program, changed settings and a deleted Service', async () => {
  runLine('ipvsadm -A -t 10.96.0.2:80 -s lc');
  program({ web: ['10.96.0.1', [2, 3]], api: ['10.96.0.2', [4]], dns: ['10.96.0.3', [5]] });
  const added = await recordsUntil(({ event }) => event === 'conflict-begun');
  const conflict = added.find(({ event }) => event === 'conflict-begun');
  assert.deepEqual([conflict?.virtualServer, conflict?.service], ['TCP 10.96.0.2:80', 'shop/api']);
  const { cause, service } = changeOf(added, 'add', 'TCP 10.96.0.3:80');
  assert.deepEqual([cause, service], ['service-added', 'shop/dns']);
  runLine('ipvsadm -D -t 10.96.0.2:80');
  const resolved = await recordsUntil(({ event }) => event === 'conflict-ended');
  assert.equal(changeOf(resolved, 'add', 'TCP 10.96.0.2:80').cause, 'ownership');
  configure('wlc');
  const changed = await recordsUntil(isChange('change', 'TCP 10.96.0.3:80'));
  assert.equal(changeOf(changed, 'change', 'TCP 10.96.0.3:80').cause, 'settings-changed');
  assert.deepEqual(changed.find(({ event }) => event === 'settings-changed')?.details, [
    'ipvs.scheduler: "rr" → "wlc"',
  ]);
  program({ web: ['10.96.0.1', [2, 3]], api: ['10.96.0.2', [4]] });
  const deleted = await recordsUntil(isChange('remove', '10.96.0.3/32'));
  for (const key of ['TCP 10.96.0.3:80', '10.96.0.3/32', 'IPv4 cluster-ip 10.96.0.3 . TCP . 80'])
    assert.deepEqual(
      [changeOf(deleted, 'remove', key).cause, changeOf(deleted, 'remove', key).service],
      ['service-deleted', 'shop/dns'],
      key,
    );
});

/** What the changes of the log add up to: what was added and not removed, by its name. */
const replay = (records: readonly LogRecord[], kind: string): readonly string[] => {
  const present = new Set<string>();
  for (const record of records) {
    if (record.event !== 'changed') continue;
    const name = [record.kind, record.virtualServer, record.key].join(' ');
    if (record.op === 'add') present.add(name);
    if (record.op !== 'remove') continue;
    present.delete(name);
    // The kernel deletes the real servers together with their virtual server.
    for (const other of present)
      if (record.kind === 'virtual-server' && other.startsWith(`real-server ${record.key} `))
        present.delete(other);
  }
  return [...present].filter((name) => name.startsWith(`${kind} `)).toSorted();
};

test('the changes of the log add up to what the kernel has', async () => {
  const answer = await client.log();
  assert.deepEqual(responseProblems('LogResponse', answer), []);
  const ids = answer.records.map(({ id }) => id);
  assert.deepEqual(
    ids,
    ids.map((_, index) => (ids[0] ?? 0) + index),
  );
  const table = savedTable();
  assert.deepEqual(
    replay(answer.records, 'virtual-server'),
    table
      .filter((line) => line.startsWith('-A'))
      .map((line) => `virtual-server  TCP ${line.split(' ')[2]}`)
      .toSorted(),
  );
  assert.deepEqual(
    replay(answer.records, 'real-server'),
    table
      .filter((line) => line.startsWith('-a'))
      .map((line) => `real-server TCP ${line.split(' ')[2]} ${line.split(' ')[4]}`)
      .toSorted(),
  );
  assert.deepEqual(
    replay(answer.records, 'address'),
    addressesOf('kube-ipvs0').map((address) => `address  ${address}`),
  );
});

const kubeIpvs = (...words: readonly string[]) =>
  spawnSync(process.execPath, [main, ...words, `--admin-socket=${socket}`], { encoding: 'utf8' });

test('the command shows a Service and a time as a table, and says what it does not show', () => {
  const { stdout, stderr, status } = kubeIpvs('log', '--service', 'shop/dns', '--since', '1h');
  assert.equal(status, 0, stderr);
  const [head = '', ...lines] = stdout.trim().split('\n');
  assert.match(head, /^TIME +SERVICE +CAUSE +CHANGE$/);
  assert.match(
    stdout,
    /^\d\d:\d\d:\d\d\.\d{3} {2}shop\/dns {2}Service added +\+ real server TCP 10\.96\.0\.3:80 → 10\.244\.0\.5:8080 masquerade weight 1 \(shop\/dns-5 on n2\)$/m,
  );
  assert.ok(lines.every((line) => line.includes('  shop/dns  ')));
  assert.match(stderr, /^kube-ipvs: the log begins at \S+: the daemon started then/);
  const none = kubeIpvs('log', '--service', 'shop/nothing');
  assert.deepEqual([none.status, none.stdout], [0, '']);
  assert.match(none.stderr, /^kube-ipvs: no changes of Service shop\/nothing found; the log begins at /);
});

test('with --follow the command prints what comes, also after a restart of the daemon', async () => {
  const following = spawn(process.execPath, [
    main,
    'log',
    '-f',
    '--since=0s',
    '-o',
    'json',
    `--admin-socket=${socket}`,
  ]);
  let [output, problems] = ['', ''];
  following.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  following.stderr.setEncoding('utf8').on('data', (text: string) => (problems += text));
  const records = (): readonly LogRecord[] =>
    output
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as LogRecord);
  const prints = (op: string, key: string): Promise<void> =>
    eventually(() => assert.ok(records().some(isChange(op, key)), `${key}: ${output}${problems}`));
  // The command may still be loading: the Service changes until it follows.
  let pods = [2, 3];
  await eventually(() => {
    pods = pods.length === 2 ? [2] : [2, 3];
    program({ web: ['10.96.0.1', pods], api: ['10.96.0.2', [4]] });
    assert.notEqual(output, '', problems);
  });
  const stopping = performance.now();
  assert.equal(await daemon.stop(), 0, daemon.log);
  assert.ok(performance.now() - stopping < 5_000, 'a reader that waits does not delay the end of the daemon');
  await eventually(() =>
    assert.match(problems, /cannot connect to the kube-ipvs daemon .* Waiting for it\./),
  );
  daemon = start();
  await eventually(() =>
    assert.ok(
      records().some(({ event }) => event === 'started'),
      output + problems,
    ),
  );
  program({ web: ['10.96.0.1', pods], api: ['10.96.0.2', [4, 9]] });
  await prints('add', '10.244.0.9:8080');
  const ids = records().map(({ id }) => id);
  assert.deepEqual(
    ids,
    [...new Set(ids)].toSorted((a, b) => a - b),
    'each record once, in order',
  );
  following.kill('SIGTERM');
  const [status] = (await once(following, 'close')) as [number | null];
  assert.equal(status, 0, problems);
});
