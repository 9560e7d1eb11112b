import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Flow, FlowQuery } from '../../src/model/flow.js';
import { formatFlow } from '../../src/kernel/conntrack/convert.js';
import { ConntrackClient } from '../../src/kernel/conntrack/client.js';
import { viewOf } from '../../src/netlink/codec/bytes.js';
import { Connection } from '../../src/netlink/connection.js';
import { readMessages } from '../../src/netlink/message.js';
import { ip } from '../support/objects.js';
import { run, runLine } from '../support/lab-guest.js';

/** Messages of type IPCTNL_MSG_CT_NEW that the kernel sent. */
let told = 0;
const client = ConntrackClient.open(
  Connection.open('netfilter', {
    trace: (direction, datagram) => {
      if (direction === 'sent') return;
      for (const { type } of readMessages(viewOf(datagram), datagram.length)) if (type === 0x100) told += 1;
    },
  }),
);
after(() => client.close());

/** A flow from `from` to `to`, answered by `by`, as `conntrack` puts it into the table. */
const insert = (protocol: 'tcp' | 'udp', from: string, to: string, by: string, more = ''): void => {
  const [source, sourcePort] = from.split('|');
  const [destination, destinationPort] = to.split('|');
  const [replySource, replyPort] = by.split('|');
  const state = protocol === 'tcp' ? '--state ESTABLISHED' : '';
  runLine(
    `conntrack -I -p ${protocol} -s ${source} -d ${destination} --sport ${sourcePort} --dport ${destinationPort} -r ${replySource} -q ${source} --reply-port-src ${replyPort} --reply-port-dst ${sourcePort} -t 600 ${state} ${more}`.trim(),
  );
};

const described = async (query: FlowQuery): Promise<readonly string[]> =>
  (await client.flows(query)).map(formatFlow).toSorted();

const virtual = '10.96.0.10';
insert('udp', '192.0.2.2|4000', `${virtual}|53`, '10.244.0.11|5353');
insert('udp', '192.0.2.2|4001', '10.96.0.11|53', '10.244.0.12|5353');
insert('udp', '192.0.2.2|4000', `${virtual}|54`, '10.244.0.11|5354');
insert('tcp', '192.0.2.2|4000', `${virtual}|53`, '10.244.0.11|5353');
insert('udp', '2001:db8::2|4000', 'fd00:96::10|53', 'fd00:244::11|5353');

test('a flow has both of its directions, as the kernel has them', async () => {
  const [flow] = await client.flows({ family: 'IPv6', protocol: 'UDP' });
  assert.ok(flow?.id !== undefined);
  assert.deepEqual(flow, {
    family: 'IPv6',
    protocol: 'UDP',
    original: {
      source: ip('2001:db8::2'),
      sourcePort: 4000,
      destination: ip('fd00:96::10'),
      destinationPort: 53,
    },
    reply: {
      source: ip('fd00:244::11'),
      sourcePort: 5353,
      destination: ip('2001:db8::2'),
      destinationPort: 4000,
    },
    id: flow.id,
    zone: 0,
  });
});

const udp = { family: 'IPv4', protocol: 'UDP' } as const;
const queries: readonly [claim: string, query: FlowQuery, flows: readonly string[], told?: number][] = [
  [
    'of a protocol',
    udp,
    [
      'UDP 192.0.2.2:4000 → 10.96.0.10:53',
      'UDP 192.0.2.2:4000 → 10.96.0.10:54',
      'UDP 192.0.2.2:4001 → 10.96.0.11:53',
    ],
  ],
  ['of TCP', { family: 'IPv4', protocol: 'TCP' }, ['TCP 192.0.2.2:4000 → 10.96.0.10:53']],
  [
    'to an address',
    { ...udp, destination: ip(virtual) },
    ['UDP 192.0.2.2:4000 → 10.96.0.10:53', 'UDP 192.0.2.2:4000 → 10.96.0.10:54'],
  ],
  [
    'to a port',
    { ...udp, destinationPort: 53 },
    ['UDP 192.0.2.2:4000 → 10.96.0.10:53', 'UDP 192.0.2.2:4001 → 10.96.0.11:53'],
  ],
  [
    'to an address and a port',
    { ...udp, destination: ip(virtual), destinationPort: 53 },
    ['UDP 192.0.2.2:4000 → 10.96.0.10:53'],
  ],
  [
    'of IPv6 to an address',
    { family: 'IPv6', protocol: 'UDP', destination: ip('fd00:96::10') },
    ['UDP [2001:db8::2]:4000 → [fd00:96::10]:53'],
  ],
  // Given an IPv6 address the kernel would tell of all flows but those to it, so that we do not give it.
  ['of nobody in IPv6', { family: 'IPv6', protocol: 'UDP', destination: ip('fd00:96::11') }, [], 1],
  ['of nobody', { ...udp, destination: ip('10.96.0.12') }, []],
];
for (const [claim, query, flows, inAll = flows.length] of queries)
  test(`flows ${claim} are those and no other, and the kernel tells of ${inAll}`, async () => {
    told = 0;
    assert.deepEqual(await described(query), flows);
    assert.equal(told, inAll);
  });

test('a flow is deleted, its neighbours are not; deleted once more it counts as deleted', async () => {
  const flows = await client.flows({ ...udp, destinationPort: 54 });
  assert.deepEqual(await client.delete(flows), [{ status: 'applied' }]);
  assert.deepEqual(await client.delete(flows), [{ status: 'applied' }]);
  assert.equal((await client.flows(udp)).length, 2);
  assert.equal((await client.flows({ ...udp, protocol: 'TCP' })).length, 1);
});

test('another flow with the same addresses and ports is never hit', async () => {
  const before = await client.flows({ ...udp, destination: ip('10.96.0.11') });
  runLine('conntrack -D -p udp --dst 10.96.0.11');
  // Takes the place in memory that has become free: the kernel makes ids of it.
  insert('udp', '192.0.2.2|4009', '10.96.0.19|9', '10.244.0.19|9');
  insert('udp', '192.0.2.2|4001', '10.96.0.11|53', '10.244.0.12|5353');
  assert.deepEqual(await client.delete(before), [{ status: 'applied' }]);
  const [after] = await client.flows({ ...udp, destination: ip('10.96.0.11') });
  assert.ok(after !== undefined && after.id !== before[0]?.id);
});

test('a flow of another zone is known by its zone', async () => {
  insert('udp', '192.0.2.2|4001', '10.96.0.11|53', '10.244.0.13|5353', '-w 7');
  const flows = await client.flows({ ...udp, destination: ip('10.96.0.11') });
  assert.deepEqual(
    flows.map(({ zone }) => zone).toSorted((a, b) => a - b),
    [0, 7],
  );
  await client.delete(flows.filter(({ zone }) => zone === 7));
  const left = await client.flows({ ...udp, destination: ip('10.96.0.11') });
  assert.deepEqual(
    left.map(({ zone }: Flow) => zone),
    [0],
  );
});

test('thousands of flows are read and deleted', async () => {
  run(
    'nft',
    'add table ip many; add chain ip many output { type filter hook output priority 0; }; add rule ip many output ct state new accept',
  );
  runLine('ip link set lo up');
  runLine('ip address add 10.96.0.20/32 dev lo');
  const flood = `const d = require('node:dgram'); let open = 0;
    for (let i = 0; i < 3000; i += 1) { const s = d.createSocket('udp4'); open += 1;
      s.send('x', 9, '10.96.0.20', () => { s.close(); open -= 1; }); }`;
  run(process.execPath, '-e', flood);
  const query = { ...udp, destination: ip('10.96.0.20'), destinationPort: 9 };
  const started = performance.now();
  const flows = await client.flows(query);
  const read = performance.now();
  assert.ok(flows.length > 2_500, `${flows.length}`);
  const outcomes = await client.delete(flows);
  console.log(
    `${flows.length} flows: read in ${read - started} ms, deleted in ${performance.now() - read} ms`,
  );
  assert.ok(outcomes.every(({ status }) => status === 'applied'));
  assert.deepEqual(await client.flows(query), []);
  assert.equal((await client.flows({ ...udp, destinationPort: 53 })).length, 2);
});
