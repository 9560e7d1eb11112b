import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { afterEach, describe, test } from 'node:test';
import { IpvsClient } from '../../src/kernel/ipvs/client.js';
import type { IpvsOperation, Outcome } from '../../src/model/operation.js';
import { formatOperation } from '../../src/model/plan-entry.js';
import {
  virtualServerKey,
  type RealServer,
  type VirtualServer,
  type VirtualServerIdentity,
} from '../../src/model/virtual-server.js';
import { at, real, virtual } from '../support/virtual-server-entries.js';

const run = (command: string): string => execFileSync('sh', ['-c', command], { encoding: 'utf8' });
const saved = (): string[] => run('ipvsadm -Sn').trimEnd().split('\n').filter(Boolean).toSorted();

afterEach(() => {
  run('ipvsadm -C');
});

const web = at('TCP', '10.96.0.10', 80);
const web6 = at('TCP', '2001:db8:96::10', 80);

const add = (server: VirtualServer): IpvsOperation => ({ kind: 'add-virtual-server', server });
const addReal = (of: VirtualServerIdentity, server: RealServer): IpvsOperation => ({
  kind: 'add-real-server',
  of,
  server,
});

const client = IpvsClient.open();

/** Applies and expects all to succeed; names those that did not. */
const apply = async (...operations: readonly IpvsOperation[]): Promise<void> => {
  const outcomes = await client.apply(operations);
  const failed = outcomes.flatMap((outcome, index) =>
    outcome.status === 'applied'
      ? []
      : [`${formatOperation(operations[index] as IpvsOperation)}: ${JSON.stringify(outcome)}`],
  );
  assert.deepEqual(failed, []);
};
const outcomeOf = async (operation: IpvsOperation): Promise<Outcome> =>
  (await client.apply([operation]))[0] as Outcome;

const virtualServers: readonly (readonly [VirtualServer, string])[] = [
  [virtual(web), '-A -t 10.96.0.10:80 -s rr'],
  [virtual(web6, { scheduler: 'wrr' }), '-A -t [2001:db8:96::10]:80 -s wrr'],
  [virtual(at('UDP', '10.96.0.10', 53), { flags: ['ops'] }), '-A -u 10.96.0.10:53 -s rr -o'],
  [virtual(at('UDP', '2001:db8:96::10', 53), { scheduler: 'lc' }), '-A -u [2001:db8:96::10]:53 -s lc'],
  [virtual(at('SCTP', '10.96.0.10', 99), { scheduler: 'dh' }), '-A --sctp-service 10.96.0.10:99 -s dh'],
  [virtual({ by: 'fwmark', fwmark: 7, family: 'IPv4' }, { scheduler: 'wlc' }), '-A -f 7 -s wlc'],
  [virtual({ by: 'fwmark', fwmark: 7, family: 'IPv6' }, { scheduler: 'sed' }), '-A -f 7 -6 -s sed'],
  [
    virtual(at('TCP', '10.96.0.11', 1), { persistence: { seconds: 10800, prefixLength: 32 } }),
    '-A -t 10.96.0.11:1 -s rr -p 10800',
  ],
  [
    virtual(at('TCP', '10.96.0.11', 2), { persistence: { seconds: 60, prefixLength: 24 } }),
    '-A -t 10.96.0.11:2 -s rr -p 60 -M 255.255.255.0',
  ],
  [
    virtual(at('TCP', '2001:db8:96::11', 2), { persistence: { seconds: 60, prefixLength: 64 } }),
    '-A -t [2001:db8:96::11]:2 -s rr -p 60 -M 64',
  ],
  [
    virtual(at('TCP', '10.96.0.12', 1), { scheduler: 'sh', flags: ['sh-fallback', 'sh-port'] }),
    '-A -t 10.96.0.12:1 -s sh -b sh-fallback,sh-port',
  ],
  [
    virtual(at('TCP', '10.96.0.12', 2), { scheduler: 'mh', flags: ['mh-fallback'] }),
    '-A -t 10.96.0.12:2 -s mh -b mh-fallback',
  ],
  [
    virtual(at('TCP', '10.96.0.12', 3), { scheduler: 'mh', flags: ['mh-port'] }),
    '-A -t 10.96.0.12:3 -s mh -b mh-port',
  ],
  [
    virtual(at('TCP', '10.96.0.12', 4), { flags: ['flag-1', 'flag-2', 'flag-3'] }),
    '-A -t 10.96.0.12:4 -s rr -b flag-1,flag-2,flag-3',
  ],
];

describe('virtual servers', () => {
  for (const [server, line] of virtualServers)
    test(`ipvsadm prints what was added, and it is read back: ${line}`, async () => {
      await apply(add(server));
      assert.deepEqual(saved(), [line]);
      const observed = await client.virtualServer(server.identity);
      assert.deepEqual(
        { ...observed, statistics: undefined },
        { ...server, persistenceEngine: undefined, statistics: undefined },
      );
      assert.equal(observed?.statistics?.connections, 0n);
    });

  test('all of them at once, listed', async () => {
    await apply(...virtualServers.map(([server]) => add(server)));
    assert.deepEqual(saved(), virtualServers.map(([, line]) => line).toSorted());
    const keys = (await client.virtualServers()).map((server) => server.key);
    assert.deepEqual(keys.toSorted(), virtualServers.map(([server]) => server.key).toSorted());
  });

  test('are edited in place', async () => {
    await apply(add(virtual(web)), addReal(web, real('10.244.0.11', 80)));
    const changed = virtual(web, {
      scheduler: 'sh',
      flags: ['sh-port'],
      persistence: { seconds: 5, prefixLength: 32 },
    });
    await apply({ kind: 'update-virtual-server', server: changed });
    assert.deepEqual(saved(), [
      '-A -t 10.96.0.10:80 -s sh -p 5 -b sh-port',
      '-a -t 10.96.0.10:80 -r 10.244.0.11:80 -m -w 1',
    ]);
    await apply({ kind: 'update-virtual-server', server: virtual(web) });
    assert.deepEqual(saved()[0], '-A -t 10.96.0.10:80 -s rr');
  });

  test('are deleted with their real servers', async () => {
    await apply(add(virtual(web)), add(virtual(web6)), addReal(web, real('10.244.0.11', 80)));
    await apply({ kind: 'delete-virtual-server', server: web });
    assert.deepEqual(saved(), ['-A -t [2001:db8:96::10]:80 -s rr']);
  });

  test('one that does not exist is undefined and has no real servers', async () => {
    assert.equal(await client.virtualServer(web), undefined);
    assert.deepEqual(await client.realServers(web), []);
  });
});

const realServers: readonly (readonly [VirtualServerIdentity, RealServer, string])[] = [
  [web, real('10.244.0.11', 8080), '-a -t 10.96.0.10:80 -r 10.244.0.11:8080 -m -w 1'],
  [web, real('10.244.0.12', 80, { weight: 0 }), '-a -t 10.96.0.10:80 -r 10.244.0.12:80 -m -w 0'],
  [web, real('10.244.0.13', 80, { forwarding: 'direct' }), '-a -t 10.96.0.10:80 -r 10.244.0.13:80 -g -w 1'],
  [
    web,
    real('2001:db8:244::1', 80, { forwarding: 'tunnel', weight: 65535 }),
    '-a -t 10.96.0.10:80 -r [2001:db8:244::1]:80 -i -w 65535 --tun-type ipip',
  ],
  [web6, real('2001:db8:244::11', 8080), '-a -t [2001:db8:96::10]:80 -r [2001:db8:244::11]:8080 -m -w 1'],
];

describe('real servers', () => {
  test('ipvsadm prints what was added, and it is read back', async () => {
    await apply(
      add(virtual(web)),
      add(virtual(web6)),
      ...realServers.map(([of, server]) => addReal(of, server)),
    );
    assert.deepEqual(
      saved().filter((line) => line.startsWith('-a')),
      realServers.map(([, , line]) => line).toSorted(),
    );
    for (const identity of [web, web6]) {
      const expected = realServers.filter(([of]) => of === identity).map(([, server]) => server);
      const observed = await client.realServers(identity);
      assert.deepEqual(
        observed
          .map(
            ({
              tunnel,
              statistics,
              activeConnections,
              inactiveConnections,
              persistentConnections,
              ...rest
            }) => {
              assert.deepEqual([activeConnections, inactiveConnections, persistentConnections], [0, 0, 0]);
              assert.equal(tunnel?.type, rest.forwarding === 'tunnel' ? 'ipip' : undefined);
              assert.equal(statistics?.connections, 0n);
              return rest;
            },
          )
          .toSorted((a, b) => (a.key < b.key ? -1 : 1)),
        expected.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
      );
    }
  });

  test('weight and thresholds are edited in place', async () => {
    await apply(add(virtual(web)), addReal(web, real('10.244.0.11', 80)));
    const server = real('10.244.0.11', 80, { weight: 7, upperThreshold: 200, lowerThreshold: 100 });
    await apply({ kind: 'update-real-server', of: web, server });
    const [observed] = await client.realServers(web);
    assert.deepEqual([observed?.weight, observed?.upperThreshold, observed?.lowerThreshold], [7, 200, 100]);
    assert.match(run('ipvsadm -Ln --thresholds'), /10\.244\.0\.11:80 +200 +100/);
  });

  test('are deleted', async () => {
    await apply(
      add(virtual(web)),
      addReal(web, real('10.244.0.11', 80)),
      addReal(web, real('10.244.0.12', 80)),
    );
    await apply({ kind: 'delete-real-server', of: web, server: real('10.244.0.11', 80) });
    assert.deepEqual(saved().slice(1), ['-a -t 10.96.0.10:80 -r 10.244.0.12:80 -m -w 1']);
  });

  test('of other makers are read: tunnels and a persistence engine’s virtual server', async () => {
    run('ipvsadm -A -u 10.96.0.10:5060 -s rr -p 60');
    run('ipvsadm -a -u 10.96.0.10:5060 -r 10.244.0.11:5060 -i --tun-type gue --tun-port 6080 --tun-nocsum');
    run('ipvsadm -a -u 10.96.0.10:5060 -r 10.244.0.12:5060 -i --tun-type gre --tun-csum');
    const observed = await client.realServers(at('UDP', '10.96.0.10', 5060));
    assert.deepEqual(
      observed.map((server) => server.tunnel).toSorted((a, b) => (a?.port ?? 0) - (b?.port ?? 0)),
      [
        { type: 'gre', port: 0, flags: 1 },
        { type: 'gue', port: 6080, flags: 0 },
      ],
    );
  });
});

const missing = at('TCP', '10.96.0.99', 80);
const errors: readonly (readonly [string, IpvsOperation, string, RegExp])[] = [
  ['a virtual server twice', add(virtual(web)), 'EEXIST', /exists already/],
  ['an unknown scheduler', add(virtual(missing, { scheduler: 'nosuch' })), 'ENOENT', /no scheduler "nosuch"/],
  [
    'an edit to an unknown scheduler',
    { kind: 'update-virtual-server', server: virtual(web, { scheduler: 'nosuch' }) },
    'ENOENT',
    /no scheduler "nosuch"/,
  ],
  [
    'an edit of a missing virtual server',
    { kind: 'update-virtual-server', server: virtual(missing) },
    'ESRCH',
    /no such virtual server/,
  ],
  [
    'the removal of a missing virtual server',
    { kind: 'delete-virtual-server', server: missing },
    'ESRCH',
    /no such virtual server/,
  ],
  ['a real server twice', addReal(web, real('10.244.0.11', 80)), 'EEXIST', /exists already/],
  [
    'a real server of a missing virtual server',
    addReal(missing, real('10.244.0.11', 80)),
    'ESRCH',
    /no such virtual server/,
  ],
  [
    'an edit of a missing real server',
    { kind: 'update-real-server', of: web, server: real('10.244.0.99', 80) },
    'ENOENT',
    /no such real server/,
  ],
  [
    'the removal of a missing real server',
    { kind: 'delete-real-server', of: web, server: real('10.244.0.99', 80) },
    'ENOENT',
    /no such real server/,
  ],
  [
    'a lower threshold above the upper one',
    addReal(web, real('10.244.0.12', 80, { upperThreshold: 1, lowerThreshold: 2 })),
    'ERANGE',
    /threshold/,
  ],
  [
    'a weight that is negative to the kernel',
    addReal(web, real('10.244.0.12', 80, { weight: 2 ** 31 })),
    'ERANGE',
    /weight/,
  ],
  ['a broadcast address', addReal(web, real('255.255.255.255', 80)), 'EINVAL', /address/],
  [
    'a weight that is no number of 32 bits',
    addReal(web, real('10.244.0.12', 80, { weight: -1 })),
    'EDOM',
    /destination\.weight: -1 is not a valid u32/,
  ],
  [
    'a netmask beyond the family',
    add(virtual(missing, { persistence: { seconds: 1, prefixLength: 33 } })),
    'EDOM',
    /service\.netmask: 33 is not a valid prefix length for IPv4/,
  ],
];

describe('each error by its errno name', () => {
  for (const [name, operation, errno, message] of errors)
    test(`${name}: ${errno}`, async () => {
      await apply(add(virtual(web)), addReal(web, real('10.244.0.11', 80)));
      const before = saved();
      const outcome = await outcomeOf(operation);
      assert.ok(outcome.status === 'failed', JSON.stringify(outcome));
      assert.equal(outcome.errno, errno);
      assert.match(outcome.message, message);
      assert.ok(
        outcome.message.startsWith(formatOperation(operation)),
        `${outcome.message} names the operation`,
      );
      assert.deepEqual(saved(), before);
    });

  test('failing operations in a batch leave the others alone', async () => {
    const outcomes = await client.apply([
      add(virtual(web)),
      add(virtual(web)),
      add(virtual(web6, { scheduler: 'nosuch' })),
      add(virtual(web6)),
    ]);
    assert.deepEqual(
      outcomes.map((outcome) => (outcome.status === 'failed' ? outcome.errno : outcome.status)),
      ['applied', 'EEXIST', 'ENOENT', 'applied'],
    );
    assert.equal(saved().length, 2);
  });

  test('5,000 failing messages in flight: each has its outcome, and the client goes on', async () => {
    await apply(add(virtual(web)));
    const outcomes = await client.apply(Array.from({ length: 5000 }, () => add(virtual(web))));
    const counts = new Map<string, number>();
    for (const outcome of outcomes) {
      const word = outcome.status === 'failed' ? outcome.errno : outcome.status;
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
    assert.deepEqual([...counts], [['EEXIST', 5000]]);
    assert.deepEqual(
      (await client.virtualServers()).map((server) => server.key),
      [virtualServerKey(web)],
    );
  });

  test('without the right to: EPERM', async () => {
    const script = `
      const { IpvsClient } = await import(${JSON.stringify(new URL('../../src/kernel/ipvs/client.js', import.meta.url).href)});
      const [outcome] = await IpvsClient.open().apply([{ kind: 'delete-virtual-server', server: ${JSON.stringify(web)} }]);
      console.log(outcome.errno, outcome.message);
    `;
    const printed = execFileSync(
      'setpriv',
      ['--bounding-set=-all', '--inh-caps=-all', process.execPath, '--input-type=module', '--eval', script],
      { encoding: 'utf8' },
    );
    assert.equal(
      printed,
      `EPERM - virtual server ${virtualServerKey(web)}: EPERM, this needs CAP_NET_ADMIN\n`,
    );
  });
});

describe('the rest', () => {
  test('version and table size are those that ipvsadm prints', async () => {
    const { version, connectionTableSize } = await client.info();
    assert.ok(
      run('ipvsadm -Ln').startsWith(`IP Virtual Server version ${version} (size=${connectionTableSize})\n`),
    );
  });

  test('timeouts are set and read; those left out stay', async () => {
    await client.setTimeouts({ tcpSeconds: 800, tcpFinSeconds: 100, udpSeconds: 200 });
    await client.setTimeouts({ udpSeconds: 42 });
    assert.deepEqual(await client.timeouts(), { tcpSeconds: 800, tcpFinSeconds: 100, udpSeconds: 42 });
    assert.equal(run('ipvsadm -L --timeout').trimEnd(), 'Timeout (tcp tcpfin udp): 800 100 42');
  });

  test('one change costs one message; a thousand cost few datagrams', async () => {
    const counting = IpvsClient.open();
    const before = { ...counting.sent };
    await counting.apply([add(virtual(web))]);
    assert.equal(counting.sent.messages - before.messages, 1);
    const many = Array.from({ length: 1000 }, (_, index) =>
      addReal(web, real(`10.244.${index >> 8}.${index & 255}`, 80)),
    );
    await counting.apply(many);
    assert.equal(counting.sent.messages - before.messages, 1001);
    assert.ok(counting.sent.datagrams - before.datagrams <= 4, `${counting.sent.datagrams} datagrams`);
    assert.equal((await counting.realServers(web)).length, 1000);
    counting.close();
  });
});
