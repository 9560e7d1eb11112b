import { formatCount } from '../../base/text.js';
import { virtualServerKey } from '../../model/virtual-server.js';
import { checksInGroup } from '../check.js';
import type { Facts, IpvsTable } from '../facts.js';
import {
  fail,
  checkFact,
  onNode,
  pass,
  abbreviatedList,
  unknown,
  warn,
  type CheckResult,
} from '../check-result.js';

const withIpvsTable = ({ ipvs }: Facts, check: (table: IpvsTable) => CheckResult): CheckResult =>
  checkFact(ipvs, (table) =>
    table === 'absent' ? unknown('there is no IPVS here', 'see the check ipvs') : check(table),
  );

const presence = ({ ipvs }: Facts): CheckResult =>
  checkFact(ipvs, (table) =>
    table === 'absent'
      ? fail(
          'this kernel has no IPVS, or its module ip_vs is not loaded',
          'modprobe ip_vs; to keep it: echo ip_vs > /etc/modules-load.d/ipvs.conf',
        )
      : pass(
          `IPVS ${table.version}, ${formatCount(table.virtualServers, 'virtual server')}, ${formatCount(table.realServers, 'real server')}`,
        ),
  );

const schedulers = ({ schedulers: fact }: Facts): CheckResult =>
  checkFact(fact, (requested) => {
    const missing = requested.filter(({ present }) => !present);
    if (missing.length === 0)
      return pass(
        `there: ${requested.map(({ name, requestedBy: wantedBy }) => `${name} (${wantedBy})`).join(', ')}`,
      );
    const names = [...new Set(missing.map(({ name }) => name))];
    return fail(
      `missing: ${abbreviatedList(missing.map(({ name, requestedBy: wantedBy }) => `${name}, which ${wantedBy} wants`))}`,
      `modprobe ${names.map((name) => `ip_vs_${name}`).join(' ')}; or choose another, as ipvs.scheduler: rr`,
    );
  });

/** Connections a bucket: a packet of a new connection walks so many on average. */
const lightLoad = 4;
const heavyLoad = 16;

const tableBitsFor = (connections: number): number =>
  Math.min(20, Math.max(12, Math.ceil(Math.log2(connections / 2))));

const connectionTable = (facts: Facts): CheckResult =>
  withIpvsTable(facts, ({ connections, buckets }) => {
    const load = connections / Math.max(1, buckets);
    const text = `${formatCount(connections, 'connection')} in ${buckets} buckets, ${load.toFixed(load < 10 ? 1 : 0)} each`;
    if (load <= lightLoad) return pass(text);
    const resizable = facts.kernelSettings.get('net.ipv4.vs.conn_lfactor');
    const remedy =
      typeof resizable === 'number'
        ? `the table of this kernel grows by itself: sysctl -w net.ipv4.vs.conn_lfactor=${resizable - 1} makes it sparser`
        : `echo options ip_vs conn_tab_bits=${tableBitsFor(connections)} > /etc/modprobe.d/ip_vs.conf, then reboot`;
    return load > heavyLoad ? fail(text, remedy) : warn(text, remedy);
  });

const tcpTimeout = ({ ipvsTimeouts, kernelSettings: numbers }: Facts): CheckResult =>
  checkFact(ipvsTimeouts, ({ tcpSeconds }) => {
    const keepalive = numbers.get('net.ipv4.tcp_keepalive_time');
    if (typeof keepalive !== 'number')
      return unknown(
        'net.ipv4.tcp_keepalive_time cannot be read',
        onNode('sysctl net.ipv4.tcp_keepalive_time'),
      );
    const text = `IPVS forgets idle TCP connections after ${tcpSeconds} s; keepalive probes begin after ${keepalive} s`;
    return keepalive < tcpSeconds
      ? pass(text)
      : warn(
          text,
          `ipvs.tcpTimeout: ${keepalive + 300}s in the configuration, or on the clients sysctl -w net.ipv4.tcp_keepalive_time=${Math.max(60, Math.trunc(tcpSeconds * (2 / 3)))}`,
        );
  });

const defenceNames = ['drop_packet', 'drop_entry', 'secure_tcp'] as const;

const defences = ({ kernelSettings: numbers }: Facts): CheckResult => {
  const values = defenceNames.map((name) => ({ name, value: numbers.get(`net.ipv4.vs.${name}`) }));
  if (values.every(({ value }) => typeof value !== 'number'))
    return unknown('net.ipv4.vs is not there to be read', 'see the check ipvs');
  const on = values.filter(({ value }) => typeof value === 'number' && value !== 0);
  const text = values.map(({ name, value }) => `${name} ${value ?? 'absent'}`).join(', ');
  return on.length === 0
    ? pass(`off: ${text}`)
    : warn(text, on.map(({ name }) => `sysctl -w net.ipv4.vs.${name}=0`).join('; '));
};

const foreignServers = ({ virtualServers, ownRules }: Facts): CheckResult =>
  checkFact(virtualServers, (servers) => {
    const rules = 'value' in ownRules ? ownRules.value : [];
    if (rules.length === 0)
      return servers.length === 0
        ? pass('there is no virtual server at all')
        : unknown(
            `${formatCount(servers.length, 'virtual server')}, and no packet rules of kube-ipvs that name its own`,
            'start kube-ipvs; see the check packet-rules',
          );
    const foreign = servers.filter(({ ours }) => !ours).map(({ identity }) => virtualServerKey(identity));
    return foreign.length === 0
      ? pass(`all ${formatCount(servers.length, 'virtual server')} are ours`)
      : warn(
          `${foreign.length} of ${formatCount(servers.length, 'virtual server')} are of others: ${abbreviatedList(foreign)}`,
          'kube-ipvs leaves them alone. If nobody needs them: ipvsadm -D, with -t, -u or -f and the address',
        );
  });

const pathMtu = ({ kernelSettings: numbers, network }: Facts): CheckResult =>
  checkFact(network, ({ links }) => {
    const value = numbers.get('net.ipv4.vs.pmtu_disc');
    if (value === 0)
      return warn(
        'net.ipv4.vs.pmtu_disc is 0: IPVS does not tell clients that a tunnel is too narrow',
        'sysctl -w net.ipv4.vs.pmtu_disc=1',
      );
    const overheads: Readonly<Record<string, number>> = {
      vxlan: 50,
      geneve: 50,
      ipip: 20,
      gre: 24,
      sit: 20,
      wireguard: 60,
    };
    const networkMtu = Math.max(
      ...links
        .filter(({ kind, name, up }) => up && kind === undefined && name !== 'lo')
        .map(({ mtu }) => mtu ?? 0),
      0,
    );
    const oversized = links.filter(
      ({ kind, mtu, up }) =>
        up &&
        kind !== undefined &&
        mtu !== undefined &&
        networkMtu > 0 &&
        mtu > networkMtu - (overheads[kind] ?? -Infinity),
    );
    const [first] = oversized;
    return first === undefined
      ? pass(
          networkMtu === 0
            ? 'no tunnel is wider than what carries it'
            : `the network has an MTU of ${networkMtu}, and every tunnel fits in`,
        )
      : warn(
          `${abbreviatedList(oversized.map(({ name, kind, mtu }) => `${name} (${kind}) has an MTU of ${mtu}`))}; the network has ${networkMtu}`,
          `ip link set ${first.name} mtu ${networkMtu - (overheads[first.kind ?? ''] ?? 0)}, and the same in the configuration of the CNI`,
        );
  });

export const ipvsChecks = checksInGroup('ipvs', [
  {
    id: 'ipvs',
    title: 'IPVS itself',
    why: 'It does the work: without it no Service is served.',
    run: presence,
  },
  {
    id: 'schedulers',
    title: 'the schedulers that the configuration and Services ask for',
    why: 'A virtual server with a scheduler that the kernel lacks cannot be made.',
    run: schedulers,
  },
  {
    id: 'connection-table',
    title: 'how full the connection table is',
    why: 'Every packet walks the connections of one bucket: long walks cost CPU and latency.',
    run: connectionTable,
  },
  {
    id: 'tcp-timeout',
    title: 'the TCP timeout of IPVS against keepalive',
    why: 'A connection that is idle for longer than the timeout is reset, unless a keepalive probe came before.',
    run: tcpTimeout,
  },
  {
    id: 'defences',
    title: 'the defences of IPVS against floods',
    why: 'They drop packets and connections of real clients when memory is short, or always.',
    run: defences,
  },
  {
    id: 'foreign-servers',
    title: 'virtual servers of others',
    why: 'A virtual server that somebody else made takes the packets of a Service on the same address and port.',
    run: foreignServers,
  },
  {
    id: 'tunnel-mtu',
    title: 'the MTU of tunnels',
    why: 'Packets that do not fit into a tunnel are lost where ICMP is, and large answers hang.',
    run: pathMtu,
  },
]);
