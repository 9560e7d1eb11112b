import { formatCount } from '../../base/text.js';
import { virtualServerKey } from '../../model/virtual-server.js';
import { parameterText } from '../../kernel/sysctl.js';
import { ipvsadmService } from '../../plan/output/ipvs-table-formats.js';
import { checksInGroup } from '../check.js';
import type { Facts, IpvsTable, NetworkFacts, VirtualServerFact } from '../facts.js';
import { fail, checkFact, pass, abbreviatedList, unknown, warn, type CheckResult } from '../check-result.js';
import { advise, loadModule, runOnNode, seeChecks, setKernelParameter, type Remedy } from '../remedy.js';

const withIpvsTable = ({ ipvs }: Facts, check: (table: IpvsTable) => CheckResult): CheckResult =>
  checkFact(ipvs, (table) =>
    table === 'absent' ? unknown('this kernel has no IPVS', seeChecks('ipvs')) : check(table),
  );

const presence = ({ ipvs }: Facts): CheckResult =>
  checkFact(ipvs, (table) =>
    table === 'absent'
      ? fail(
          'this kernel has no IPVS, or the module ip_vs is not loaded',
          loadModule('ip_vs'),
          advise('Load it at every boot.', 'echo ip_vs > /etc/modules-load.d/ipvs.conf'),
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
        `available: ${requested.map(({ name, requestedBy }) => `${name} (${requestedBy})`).join(', ')}`,
      );
    const names = [...new Set(missing.map(({ name }) => name))];
    return fail(
      `not available: ${abbreviatedList(missing.map(({ name, requestedBy }) => `${name}, requested by ${requestedBy}`))}`,
      ...names.map((name) => loadModule(`ip_vs_${name}`)),
      advise('If there is no such module, choose another scheduler, for example ipvs.scheduler: rr.'),
    );
  });

/** Average connections in a bucket, which a packet of a new connection walks through. */
const lightLoad = 4;
const heavyLoad = 16;

const tableBitsFor = (connections: number): number =>
  Math.min(20, Math.max(12, Math.ceil(Math.log2(connections / 2))));

const connectionTable = (facts: Facts): CheckResult =>
  withIpvsTable(facts, ({ connections, buckets }) => {
    const load = connections / Math.max(1, buckets);
    const text = `${formatCount(connections, 'connection')} in ${buckets} buckets: ${load.toFixed(load < 10 ? 1 : 0)} in each`;
    if (load <= lightLoad) return pass(text);
    const resizable = facts.kernelSettings.get('net.ipv4.vs.conn_lfactor');
    const remedy =
      typeof resizable === 'number'
        ? advise(
            `Make the table sparser: set kernel.connectionLoadFactor: ${resizable - 1} in the configuration, or the same here. It resizes itself on this kernel.`,
            `sysctl -w net.ipv4.vs.conn_lfactor=${resizable - 1}`,
          )
        : advise(
            'Enlarge the table, then reboot.',
            `echo options ip_vs conn_tab_bits=${tableBitsFor(connections)} > /etc/modprobe.d/ip_vs.conf`,
          );
    return load > heavyLoad ? fail(text, remedy) : warn(text, remedy);
  });

const tcpTimeout = ({ ipvsTimeouts, kernelSettings }: Facts): CheckResult =>
  checkFact(ipvsTimeouts, ({ tcpSeconds }) => {
    const keepalive = kernelSettings.get('net.ipv4.tcp_keepalive_time');
    if (typeof keepalive !== 'number')
      return unknown(
        'net.ipv4.tcp_keepalive_time cannot be read',
        runOnNode('sysctl net.ipv4.tcp_keepalive_time'),
      );
    const text = `idle TCP connections expire in IPVS after ${tcpSeconds} s; keepalive probes start after ${keepalive} s`;
    return keepalive < tcpSeconds
      ? pass(text)
      : warn(
          text,
          advise(`Set ipvs.tcpTimeout: ${keepalive + 300}s in the configuration.`),
          advise(
            'Or have the clients send keepalive probes earlier.',
            `sysctl -w net.ipv4.tcp_keepalive_time=${Math.max(60, Math.trunc(tcpSeconds * (2 / 3)))}`,
          ),
        );
  });

const defenceNames = ['drop_packet', 'drop_entry', 'secure_tcp'] as const;

const defences = ({ kernelSettings }: Facts): CheckResult => {
  const values = defenceNames.map((name) => ({ name, value: kernelSettings.get(`net.ipv4.vs.${name}`) }));
  if (values.every(({ value }) => typeof value !== 'number'))
    return unknown('net.ipv4.vs cannot be read', seeChecks('ipvs'));
  const on = values.filter(({ value }) => typeof value === 'number' && value !== 0);
  const text = values.map(({ name, value }) => `${name} ${parameterText(value)}`).join(', ');
  return on.length === 0
    ? pass(`off: ${text}`)
    : warn(text, ...on.map(({ name }) => setKernelParameter(`net.ipv4.vs.${name}`, 0)));
};

/** For the first three: an operator does the rest alike. */
const removalsOf = (servers: readonly VirtualServerFact[]): readonly Remedy[] =>
  servers
    .slice(0, 3)
    .map(({ identity }) =>
      advise(
        `If no program needs ${virtualServerKey(identity)}, delete it. kube-ipvs leaves it alone.`,
        `ipvsadm -D ${ipvsadmService(identity)}`,
      ),
    );

const foreignServers = ({ virtualServers, ownRules }: Facts): CheckResult =>
  checkFact(virtualServers, (servers) => {
    const rules = 'value' in ownRules ? ownRules.value : [];
    if (rules.length === 0)
      return servers.length === 0
        ? pass('the IPVS table is empty')
        : unknown(
            `${formatCount(servers.length, 'virtual server')}; without the packet rules of kube-ipvs it is unknown which of them are its own`,
            advise('Start kube-ipvs.'),
            seeChecks('packet-rules'),
          );
    const foreignServers = servers.filter(({ ours }) => !ours);
    const foreign = foreignServers.map(({ identity }) => virtualServerKey(identity));
    return foreign.length === 0
      ? pass(`kube-ipvs created all ${formatCount(servers.length, 'virtual server')}`)
      : warn(
          `other programs created ${foreign.length} of ${formatCount(servers.length, 'virtual server')}: ${abbreviatedList(foreign)}`,
          ...removalsOf(foreignServers),
        );
  });

/** Bytes that a tunnel adds to each packet. */
const tunnelOverheads: Readonly<Record<string, number>> = {
  vxlan: 50,
  geneve: 50,
  ipip: 20,
  gre: 24,
  sit: 20,
  wireguard: 60,
};

type TunnelLink = NetworkFacts['links'][number];

/** The largest MTU of the hardware interfaces; 0 where there are none. */
const networkMtuOf = (links: readonly TunnelLink[]): number =>
  Math.max(
    ...links
      .filter(({ kind, name, up }) => up && kind === undefined && name !== 'lo')
      .map(({ mtu }) => mtu ?? 0),
    0,
  );

const isOversized = ({ kind, mtu, up }: TunnelLink, networkMtu: number): boolean =>
  up &&
  kind !== undefined &&
  mtu !== undefined &&
  networkMtu > 0 &&
  mtu > networkMtu - (tunnelOverheads[kind] ?? -Infinity);

const tunnelMtu = (links: readonly TunnelLink[]): CheckResult => {
  const networkMtu = networkMtuOf(links);
  const oversized = links.filter((link) => isOversized(link, networkMtu));
  const [first] = oversized;
  if (first === undefined)
    return pass(
      networkMtu === 0
        ? 'no tunnel has a larger MTU than the network below it'
        : `the network has an MTU of ${networkMtu}, and the packets of every tunnel fit`,
    );
  const fitting = networkMtu - (tunnelOverheads[first.kind ?? ''] ?? 0);
  return warn(
    `${abbreviatedList(oversized.map(({ name, kind, mtu }) => `${name} (${kind}) has an MTU of ${mtu}`))}; the network has ${networkMtu}`,
    advise(`Set the MTU of ${first.name} to ${fitting}.`, `ip link set ${first.name} mtu ${fitting}`),
    advise('Set the same MTU in the configuration of the CNI plugin.'),
  );
};

const pathMtu = ({ kernelSettings, network }: Facts): CheckResult =>
  checkFact(network, ({ links }) =>
    kernelSettings.get('net.ipv4.vs.pmtu_disc') === 0
      ? warn(
          'net.ipv4.vs.pmtu_disc is 0: IPVS does not report to clients that their packets are too large for a tunnel',
          setKernelParameter('net.ipv4.vs.pmtu_disc', 1),
        )
      : tunnelMtu(links),
  );

export const ipvsChecks = checksInGroup('ipvs', [
  {
    id: 'ipvs',
    title: 'whether the kernel has IPVS',
    why: 'IPVS forwards the connections: without it no Service is served.',
    run: presence,
  },
  {
    id: 'schedulers',
    title: 'the schedulers that the configuration and Services request',
    why: 'The kernel rejects a virtual server whose scheduler it does not have.',
    run: schedulers,
  },
  {
    id: 'connection-table',
    title: 'how full the connection table is',
    why: 'Each packet searches the connections of one bucket: long searches cost CPU and latency.',
    run: connectionTable,
  },
  {
    id: 'tcp-timeout',
    title: 'the TCP timeout of IPVS against TCP keepalive',
    why: 'A connection that is idle for longer than the timeout is reset unless a keepalive probe comes first.',
    run: tcpTimeout,
  },
  {
    id: 'defences',
    title: 'the defences of IPVS against floods',
    why: 'They drop packets and connections of real clients when memory is short, or at all times.',
    run: defences,
  },
  {
    id: 'foreign-servers',
    title: 'virtual servers of other programs',
    why: 'Such a virtual server receives the packets of a Service with the same address and port.',
    run: foreignServers,
  },
  {
    id: 'tunnel-mtu',
    title: 'the MTU of tunnels',
    why: 'Packets too large for a tunnel are lost where ICMP is filtered, and large replies hang.',
    run: pathMtu,
  },
]);
