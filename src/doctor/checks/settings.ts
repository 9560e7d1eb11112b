import { planKernelSettings } from '../../daemon/kernel/kernel-settings.js';
import { familyOf } from '../../base/ip.js';
import { formatCount } from '../../base/text.js';
import { isAtLeast, parseRelease } from '../../kernel/kernel-version.js';
import { dummyInterfaceName } from '../../model/node.js';
import { checksInGroup } from '../check.js';
import type { Facts } from '../facts.js';
import {
  fail,
  checkFact,
  onNode,
  pass,
  abbreviatedList,
  unknown,
  valueOf,
  warn,
  type CheckResult,
} from '../check-result.js';

/** What it means that a setting is not there or not for us to read. */
const unavailableSetting = (name: string, value: 'absent' | 'unreadable' | undefined): CheckResult =>
  value === 'unreadable'
    ? unknown(`${name} cannot be read`, onNode(`sysctl ${name}`))
    : unknown(
        `there is no ${name} here`,
        name.startsWith('net.ipv4.vs.') ? 'see the check ipvs' : `sysctl ${name}`,
      );

const checkEnabled =
  (name: string) =>
  ({ kernelSettings: numbers }: Facts): CheckResult => {
    const value = numbers.get(name);
    if (typeof value !== 'number') return unavailableSetting(name, value);
    return value === 1
      ? pass(`${name} is 1`)
      : fail(`${name} is ${value}`, `sysctl -w ${name}=1; kube-ipvs sets it when it starts`);
  };

const connectionReuseSetting = 'net.ipv4.vs.conn_reuse_mode';

const connectionReuse = ({ kernelSettings: numbers, release }: Facts): CheckResult => {
  const value = numbers.get(connectionReuseSetting);
  if (typeof value !== 'number') return unavailableSetting(connectionReuseSetting, value);
  const version = parseRelease(release);
  if (version === undefined)
    return unknown(`${connectionReuseSetting} is ${value}; "${release}" is no release`, 'uname -r');
  const text = `${connectionReuseSetting} is ${value} on Linux ${version.major}.${version.minor}`;
  if (isAtLeast(version, 5, 9))
    return value === 0
      ? warn(
          `${text}: a new connection from a reused port goes to the old real server, even one that drains`,
          `sysctl -w ${connectionReuseSetting}=1`,
        )
      : pass(text);
  return value === 0
    ? pass(text)
    : fail(`${text}: a reused port waits a second`, `sysctl -w ${connectionReuseSetting}=0`);
};

/** Whether a Service has IPv6; undefined where nobody could look. */
const servesIpv6 = ({ virtualServers, services }: Facts): boolean | undefined => {
  const sources = [valueOf(virtualServers), valueOf(services)].filter((list) => list !== undefined);
  if (sources.length === 0) return undefined;
  return (
    (valueOf(virtualServers) ?? []).some(
      ({ identity }) => identity.by === 'address' && familyOf(identity.address) === 'IPv6',
    ) || (valueOf(services) ?? []).some(({ clusterIps }) => clusterIps.IPv6 !== undefined)
  );
};

const ipv6Forwarding = (facts: Facts): CheckResult => {
  const name = 'net.ipv6.conf.all.forwarding';
  const value = facts.kernelSettings.get(name);
  const serves = servesIpv6(facts);
  if (serves === false) return pass('no Service has an IPv6 address');
  if (typeof value !== 'number') return unavailableSetting(name, value);
  if (value > 0) return pass(`${name} is ${value}`);
  const remedy = `sysctl -w ${name}=1`;
  return serves === true
    ? fail(`${name} is 0, and Services have IPv6 addresses`, remedy)
    : warn(
        `${name} is 0; whether Services have IPv6 addresses is unknown`,
        `${remedy}; not needed in a cluster of IPv4 alone`,
      );
};

const routeLocalnet = ({ kernelSettings: numbers }: Facts): CheckResult => {
  const name = 'net.ipv4.conf.all.route_localnet';
  const value = numbers.get(name);
  if (typeof value !== 'number') return unavailableSetting(name, value);
  return value === 0
    ? pass(`${name} is 0`)
    : warn(
        `${name} is ${value}, as kube-proxy's mode iptables leaves it: neighbours reach what listens at 127.0.0.1`,
        `sysctl -w ${name}=0; kube-ipvs does not need it`,
      );
};

/** Interfaces of hardware (and veths are not) with an address that others reach. */
const uplinks = (facts: Facts): readonly string[] => {
  const network = valueOf(facts.network);
  if (network === undefined) return [];
  return network.links
    .filter(
      ({ kind, name, up }) =>
        up && (kind === undefined || kind === 'bond' || kind === 'vlan') && name !== 'lo',
    )
    .filter(({ index }) =>
      network.addresses.some(
        ({ interfaceIndex, address }) => interfaceIndex === index && familyOf(address) === 'IPv4',
      ),
    )
    .map(({ name }) => name);
};

const reversePath = (facts: Facts): CheckResult => {
  const name = 'net.ipv4.conf.all.rp_filter';
  const value = facts.kernelSettings.get(name);
  if (typeof value !== 'number') return unavailableSetting(name, value);
  const links = uplinks(facts);
  if (value !== 1) return pass(`${name} is ${value}`);
  return links.length > 1
    ? warn(
        `${name} is 1 (strict) with ${formatCount(links.length, 'uplink')} (${abbreviatedList(links)}): packets that come by one and go by another are dropped`,
        `sysctl -w ${name}=2`,
      )
    : pass(`${name} is 1 (strict) with ${links.length === 1 ? 'one uplink' : 'no uplink that is seen'}`);
};

/** Programs that answer ARP for the addresses of load balancers. */
const arpAnnouncers: readonly string[] = ['speaker', 'kube-vip', 'keepalived'];

const strictArp = ({ kernelSettings: numbers, programs, services, configuration }: Facts): CheckResult => {
  const ignore = numbers.get('net.ipv4.conf.all.arp_ignore');
  const announce = numbers.get('net.ipv4.conf.all.arp_announce');
  if (typeof ignore !== 'number' || typeof announce !== 'number')
    return unavailableSetting('net.ipv4.conf.all.arp_ignore', typeof ignore === 'number' ? 'absent' : ignore);
  const text = `arp_ignore is ${ignore}, arp_announce is ${announce}`;
  if (ignore > 0 && announce > 1) return pass(text);
  const found = (valueOf(programs) ?? [])
    .filter(({ name }) => arpAnnouncers.includes(name))
    .map(({ name }) => name);
  const addresses = (valueOf(services) ?? []).flatMap(({ loadBalancerIps }) => loadBalancerIps);
  const { strictArp: isConfigured } = configuration.settings;
  const remedy = 'ipvs.strictARP: true in the configuration';
  if (isConfigured)
    return fail(`${text}, and ipvs.strictARP is true`, 'restart kube-ipvs, which sets both at start');
  if (found.length > 0)
    return fail(
      `${text}, and ${abbreviatedList(found)} announces addresses that are on ${dummyInterfaceName} too`,
      remedy,
    );
  return addresses.length > 0
    ? warn(
        `${text}, and Services have ${formatCount(addresses.length, 'load balancer address')}`,
        `${remedy}, if MetalLB (L2), kube-vip or keepalived announces them`,
      )
    : pass(`${text}, and nothing here announces addresses of load balancers`);
};

const bridgeSettings: Readonly<Record<'iptables' | 'ip6tables', string>> = {
  iptables: 'net.bridge.bridge-nf-call-iptables',
  ip6tables: 'net.bridge.bridge-nf-call-ip6tables',
};

const bridges = ({ kernelSettings: numbers, network }: Facts): CheckResult =>
  checkFact(network, ({ links }) => {
    const found = links.filter(({ kind, up }) => kind === 'bridge' && up).map(({ name }) => name);
    if (found.length === 0) return pass('no bridge is up');
    const off = Object.values(bridgeSettings).filter((name) => numbers.get(name) !== 1);
    if (off.length === 0)
      return pass(`bridges ${abbreviatedList(found)}; their packets pass the packet rules`);
    const isAbsent = off.some((name) => numbers.get(name) === 'absent');
    return warn(
      `bridges ${abbreviatedList(found)}, and ${off.map((name) => `${name} is ${numbers.get(name) ?? 'absent'}`).join(', ')}`,
      `${isAbsent ? 'modprobe br_netfilter; ' : ''}sysctl -w ${off.map((name) => `${name}=1`).join(' ')}`,
    );
  });

const nodePorts = { first: 30_000, last: 32_767 } as const;

const localPorts = ({ localPorts: fact, services }: Facts): CheckResult =>
  checkFact(fact, ({ first, last, reserved }) => {
    const used = (valueOf(services) ?? []).flatMap(({ ports }) =>
      ports.flatMap(({ nodePort }) => nodePort ?? []),
    );
    const lowest = Math.min(nodePorts.first, ...used);
    const highest = Math.max(nodePorts.last, ...used);
    const text = `local ports ${first}-${last}, node ports ${lowest}-${highest}`;
    if (last < lowest || first > highest) return pass(text);
    const isReserved = reserved.split(',').some((range) => {
      const [from = Number.NaN, to = from] = range.split('-').map(Number);
      return from <= lowest && to >= highest;
    });
    return isReserved
      ? pass(`${text}, which are reserved`)
      : warn(
          `${text}: connections of this node may take a node port as their own`,
          `sysctl -w net.ipv4.ip_local_reserved_ports=${reserved === '' ? '' : `${reserved},`}${lowest}-${highest}`,
        );
  });

/** Settings that have checks of their own. */
const separatelyChecked: readonly string[] = [
  'net.ipv4.vs.conntrack',
  'net.ipv4.vs.expire_nodest_conn',
  'net.ipv4.vs.expire_quiescent_template',
  'net.ipv4.vs.conn_reuse_mode',
  'net.ipv4.ip_forward',
  'net.ipv4.conf.all.arp_ignore',
  'net.ipv4.conf.all.arp_announce',
];

const configuredSettings = ({
  configuration,
  kernelSettings: numbers,
  release,
  cpus,
}: Facts): CheckResult => {
  const { changes, absent } = planKernelSettings(configuration.settings, {
    release,
    cpus,
    read: ({ name }) => numbers.get(name) ?? 'absent',
  });
  const differing = changes.filter(({ setting }) => !separatelyChecked.includes(setting.name));
  const unavailable = differing.filter(({ previous: before }) => before === 'unreadable');
  const different = differing.filter(({ previous: before }) => before !== 'unreadable');
  if (different.length > 0)
    return warn(
      abbreviatedList(
        different.map(
          ({ setting, previous: before, value }) => `${setting.name} is ${before}, wanted ${value}`,
        ),
      ),
      different.map(({ setting, value }) => `sysctl -w ${setting.name}=${value}`).join('; '),
    );
  if (unavailable.length > 0)
    return unknown(
      `cannot be read: ${abbreviatedList(unavailable.map(({ setting }) => setting.name))}`,
      onNode(`sysctl ${unavailable.map(({ setting }) => setting.name).join(' ')}`),
    );
  const missing = absent.filter(({ setting }) => !separatelyChecked.includes(setting.name));
  return missing.length > 0
    ? unknown(
        `not here: ${abbreviatedList(missing.map(({ setting }) => setting.name))}`,
        'modprobe nf_conntrack',
      )
    : pass('what the configuration asks of conntrack is set');
};

export const settingsChecks = checksInGroup('settings', [
  {
    id: 'vs-conntrack',
    title: 'net.ipv4.vs.conntrack',
    why: 'Without it what IPVS forwards is not tracked and so not masqueraded, and NetworkPolicy sees strangers.',
    run: checkEnabled('net.ipv4.vs.conntrack'),
  },
  {
    id: 'connection-reuse',
    title: 'net.ipv4.vs.conn_reuse_mode for this kernel',
    why: 'With the wrong mode connections from a port that was used before wait a second or go to a pod that leaves.',
    run: connectionReuse,
  },
  {
    id: 'expire-nodest-conn',
    title: 'net.ipv4.vs.expire_nodest_conn',
    why: 'Without it connections to a pod that is gone hang instead of ending.',
    run: checkEnabled('net.ipv4.vs.expire_nodest_conn'),
  },
  {
    id: 'expire-quiescent-template',
    title: 'net.ipv4.vs.expire_quiescent_template',
    why: 'Without it session affinity sends clients to a pod that is leaving.',
    run: checkEnabled('net.ipv4.vs.expire_quiescent_template'),
  },
  {
    id: 'ipv4-forwarding',
    title: 'net.ipv4.ip_forward',
    why: 'Without it the kernel does not pass the packets of others on, and no pod is reached.',
    run: checkEnabled('net.ipv4.ip_forward'),
  },
  {
    id: 'ipv6-forwarding',
    title: 'net.ipv6.conf.all.forwarding, where the node has IPv6',
    why: 'Without it the kernel does not pass IPv6 packets on, and no IPv6 pod is reached.',
    run: ipv6Forwarding,
  },
  {
    id: 'route-localnet',
    title: 'net.ipv4.conf.all.route_localnet',
    why: 'With it what listens at 127.0.0.1 alone can be reached from the network (CVE-2020-8558).',
    run: routeLocalnet,
  },
  {
    id: 'reverse-path',
    title: 'net.ipv4.conf.all.rp_filter with several uplinks',
    why: 'The strict filter drops packets that come by another interface than answers go.',
    run: reversePath,
  },
  {
    id: 'strict-arp',
    title: 'arp_ignore and arp_announce with MetalLB, kube-vip, keepalived',
    why: 'A node that answers ARP for load balancer addresses draws their traffic away from the node that announces them.',
    run: strictArp,
  },
  {
    id: 'bridge-netfilter',
    title: 'bridge-nf-call-iptables, where there are bridges',
    why: 'Without it the answer of a pod to a neighbour on the same bridge passes IPVS by and is not recognised.',
    run: bridges,
  },
  {
    id: 'local-ports',
    title: 'ip_local_port_range against node ports',
    why: 'A connection of the node that takes a node port as its own port has its answers caught by IPVS.',
    run: localPorts,
  },
  {
    id: 'configured-settings',
    title: 'the conntrack settings that the configuration asks for',
    why: 'A limit or timeout that is configured and not in force is found out under load.',
    run: configuredSettings,
  },
]);
