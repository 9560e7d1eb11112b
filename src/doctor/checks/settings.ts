import { planKernelSettings } from '../../daemon/kernel/kernel-settings.js';
import { familyOf } from '../../base/ip.js';
import { formatCount } from '../../base/text.js';
import { isAtLeast, parseRelease } from '../../kernel/kernel-version.js';
import { ipvsSynchronization, ipvsTuning } from '../../kernel/ipvs/settings.js';
import { parameterText, type KernelParameterValue } from '../../kernel/sysctl.js';
import { checksInGroup } from '../check.js';
import type { Facts } from '../facts.js';
import {
  fail,
  checkFact,
  pass,
  abbreviatedList,
  unknown,
  valueOf,
  warn,
  type CheckResult,
} from '../check-result.js';
import { advise, loadModule, runOnNode, seeChecks, setKernelParameter } from '../remedy.js';

/** For a setting that does not exist or cannot be read. */
const unavailableSetting = (name: string, value: KernelParameterValue | undefined): CheckResult =>
  value === 'unreadable'
    ? unknown(`${name} cannot be read`, runOnNode(`sysctl ${name}`))
    : unknown(
        `${name} does not exist`,
        name.startsWith('net.ipv4.vs.') ? seeChecks('ipvs') : runOnNode(`sysctl ${name}`),
      );

/** The daemon sets it too. */
const setAtStart = (name: string) =>
  advise(`Set ${name} to 1. kube-ipvs does so when it starts.`, `sysctl -w ${name}=1`);

const checkEnabled =
  (name: string) =>
  ({ kernelSettings }: Facts): CheckResult => {
    const value = kernelSettings.get(name);
    if (typeof value !== 'number') return unavailableSetting(name, value);
    return value === 1 ? pass(`${name} is 1`) : fail(`${name} is ${value}`, setAtStart(name));
  };

const connectionReuseSetting = 'net.ipv4.vs.conn_reuse_mode';

const connectionReuse = ({ kernelSettings, release }: Facts): CheckResult => {
  const value = kernelSettings.get(connectionReuseSetting);
  if (typeof value !== 'number') return unavailableSetting(connectionReuseSetting, value);
  const version = parseRelease(release);
  if (version === undefined)
    return unknown(
      `${connectionReuseSetting} is ${value}; "${release}" is not a kernel release`,
      runOnNode('uname -r'),
    );
  const text = `${connectionReuseSetting} is ${value} on Linux ${version.major}.${version.minor}`;
  if (isAtLeast(version, 5, 9))
    return value === 0
      ? warn(
          `${text}: a new connection from a reused port goes to the previous real server, even if that is draining`,
          setKernelParameter(connectionReuseSetting, 1),
        )
      : pass(text);
  return value === 0
    ? pass(text)
    : fail(
        `${text}: connections from reused ports are delayed by a second`,
        setKernelParameter(connectionReuseSetting, 0),
      );
};

/** Whether a Service has an IPv6 address; undefined where neither virtual servers nor Services could be read. */
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
  const remedy = setKernelParameter(name, 1);
  return serves === true
    ? fail(`${name} is 0, but Services have IPv6 addresses`, remedy)
    : warn(
        `${name} is 0; whether Services have IPv6 addresses is unknown`,
        advise('If the cluster uses IPv6, set it to 1.', `sysctl -w ${name}=1`),
      );
};

const routeLocalnet = ({ kernelSettings }: Facts): CheckResult => {
  const name = 'net.ipv4.conf.all.route_localnet';
  const value = kernelSettings.get(name);
  if (typeof value !== 'number') return unavailableSetting(name, value);
  return value === 0
    ? pass(`${name} is 0`)
    : warn(
        `${name} is ${value}, as kube-proxy in iptables mode leaves it: neighbouring machines can reach ports on 127.0.0.1`,
        advise('Set it to 0. kube-ipvs does not need it.', `sysctl -w ${name}=0`),
      );
};

/** Hardware interfaces, bonds and VLANs with an IPv4 address. */
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
        `${name} is 1 (strict) with ${formatCount(links.length, 'uplink')} (${abbreviatedList(links)}): packets that arrive on one and are answered on another are dropped`,
        setKernelParameter(name, 2),
      )
    : pass(`${name} is 1 (strict) with ${links.length === 1 ? 'one uplink' : 'no visible uplink'}`);
};

/** Programs that answer ARP for the addresses of load balancers. */
const arpAnnouncers: readonly string[] = ['speaker', 'kube-vip', 'keepalived'];

const strictArp = ({ kernelSettings, programs, services, configuration }: Facts): CheckResult => {
  const ignore = kernelSettings.get('net.ipv4.conf.all.arp_ignore');
  const announce = kernelSettings.get('net.ipv4.conf.all.arp_announce');
  if (typeof ignore !== 'number' || typeof announce !== 'number')
    return unavailableSetting('net.ipv4.conf.all.arp_ignore', typeof ignore === 'number' ? 'absent' : ignore);
  const text = `arp_ignore is ${ignore}, arp_announce is ${announce}`;
  if (ignore > 0 && announce > 1) return pass(text);
  const found = (valueOf(programs) ?? [])
    .filter(({ name }) => arpAnnouncers.includes(name))
    .map(({ name }) => name);
  const addresses = (valueOf(services) ?? []).flatMap(({ loadBalancerIps }) => loadBalancerIps);
  const { strictArp: isConfigured } = configuration.settings;
  const remedy = advise('Set ipvs.strictARP: true in the configuration.');
  if (isConfigured)
    return fail(
      `${text}, but ipvs.strictARP is true`,
      advise('Restart kube-ipvs, which sets both when it starts.'),
    );
  if (found.length > 0)
    return fail(
      `${text}, and ${abbreviatedList(found)} announces addresses that this node also takes as its own`,
      remedy,
    );
  return addresses.length > 0
    ? warn(
        `${text}, and Services have ${formatCount(addresses.length, 'load balancer address')}`,
        advise(
          'If MetalLB (L2), kube-vip or keepalived announces them, set ipvs.strictARP: true in the configuration.',
        ),
      )
    : pass(`${text}, and no program on this node announces load balancer addresses`);
};

const bridgeSettings: Readonly<Record<'iptables' | 'ip6tables', string>> = {
  iptables: 'net.bridge.bridge-nf-call-iptables',
  ip6tables: 'net.bridge.bridge-nf-call-ip6tables',
};

const bridges = ({ kernelSettings, network }: Facts): CheckResult =>
  checkFact(network, ({ links }) => {
    const found = links.filter(({ kind, up }) => kind === 'bridge' && up).map(({ name }) => name);
    if (found.length === 0) return pass('no bridge is up');
    const off = Object.values(bridgeSettings).filter((name) => kernelSettings.get(name) !== 1);
    if (off.length === 0)
      return pass(`packets on the bridges ${abbreviatedList(found)} pass the packet rules`);
    const isAbsent = off.some((name) => kernelSettings.get(name) === 'absent');
    return warn(
      `packets on the bridges ${abbreviatedList(found)} do not pass the packet rules: ${off.map((name) => `${name} is ${parameterText(kernelSettings.get(name))}`).join(', ')}`,
      ...(isAbsent ? [loadModule('br_netfilter')] : []),
      ...off.map((name) => setKernelParameter(name, 1)),
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
      ? pass(`${text}: the node ports are reserved`)
      : warn(
          `${text}: connections of this node may use a node port as their source port`,
          advise(
            'Reserve the node ports.',
            `sysctl -w net.ipv4.ip_local_reserved_ports=${reserved === '' ? '' : `${reserved},`}${lowest}-${highest}`,
          ),
        );
  });

/** Settings that other checks cover. */
const separatelyChecked: readonly string[] = [
  'net.ipv4.vs.conntrack',
  'net.ipv4.vs.expire_nodest_conn',
  'net.ipv4.vs.expire_quiescent_template',
  'net.ipv4.vs.conn_reuse_mode',
  'net.ipv4.ip_forward',
  'net.ipv4.conf.all.arp_ignore',
  'net.ipv4.conf.all.arp_announce',
  ...Object.values(ipvsTuning).map(({ setting }) => setting.name),
  ...Object.values(ipvsSynchronization).map(({ name }) => name),
];

/** What kube-ipvs changes at its start. */
export const plannedKernelSettings = ({ configuration, kernelSettings, release, cpus }: Facts) =>
  planKernelSettings(configuration.settings, {
    release,
    cpus,
    read: ({ name }) => kernelSettings.get(name) ?? 'absent',
  });

const configuredSettings = (facts: Facts): CheckResult => {
  const { changes, absent } = plannedKernelSettings(facts);
  const differing = changes.filter(({ setting }) => !separatelyChecked.includes(setting.name));
  const unavailable = differing.filter(({ previous }) => previous === 'unreadable');
  const different = differing.filter(({ previous }) => previous !== 'unreadable');
  if (different.length > 0)
    return warn(
      abbreviatedList(
        different.map(
          ({ setting, previous, value }) => `${setting.name} is ${previous}, configured ${value}`,
        ),
      ),
      ...different.map(({ setting, value }) => setKernelParameter(setting.name, value)),
    );
  if (unavailable.length > 0)
    return unknown(
      `cannot be read: ${abbreviatedList(unavailable.map(({ setting }) => setting.name))}`,
      runOnNode(`sysctl ${unavailable.map(({ setting }) => setting.name).join(' ')}`),
    );
  const missing = absent.filter(({ setting }) => !separatelyChecked.includes(setting.name));
  return missing.length > 0
    ? unknown(
        `missing: ${abbreviatedList(missing.map(({ setting }) => setting.name))}`,
        loadModule('nf_conntrack'),
      )
    : pass('all configured conntrack settings are in force');
};

export const settingsChecks = checksInGroup('settings', [
  {
    id: 'vs-conntrack',
    title: 'net.ipv4.vs.conntrack',
    why: 'Without it, forwarded connections are neither tracked nor masqueraded, and NetworkPolicy does not recognize them.',
    run: checkEnabled('net.ipv4.vs.conntrack'),
  },
  {
    id: 'connection-reuse',
    title: 'net.ipv4.vs.conn_reuse_mode for this kernel',
    why: 'With the wrong mode, connections from reused ports are delayed by a second or go to a terminating pod.',
    run: connectionReuse,
  },
  {
    id: 'expire-nodest-conn',
    title: 'net.ipv4.vs.expire_nodest_conn',
    why: 'Without it, connections to a removed pod hang instead of ending.',
    run: checkEnabled('net.ipv4.vs.expire_nodest_conn'),
  },
  {
    id: 'expire-quiescent-template',
    title: 'net.ipv4.vs.expire_quiescent_template',
    why: 'Without it, session affinity keeps sending clients to a terminating pod.',
    run: checkEnabled('net.ipv4.vs.expire_quiescent_template'),
  },
  {
    id: 'ipv4-forwarding',
    title: 'net.ipv4.ip_forward',
    why: 'Without it, the kernel forwards no packets, and clients cannot reach pods.',
    run: checkEnabled('net.ipv4.ip_forward'),
  },
  {
    id: 'ipv6-forwarding',
    title: 'net.ipv6.conf.all.forwarding, if Services have IPv6 addresses',
    why: 'Without it, the kernel forwards no IPv6 packets, and clients cannot reach IPv6 pods.',
    run: ipv6Forwarding,
  },
  {
    id: 'route-localnet',
    title: 'net.ipv4.conf.all.route_localnet',
    why: 'With it, other machines can reach ports that listen on 127.0.0.1 only (CVE-2020-8558).',
    run: routeLocalnet,
  },
  {
    id: 'reverse-path',
    title: 'net.ipv4.conf.all.rp_filter with several uplinks',
    why: 'The strict filter drops packets that arrive on another interface than replies leave by.',
    run: reversePath,
  },
  {
    id: 'strict-arp',
    title: 'arp_ignore and arp_announce with MetalLB, kube-vip, keepalived',
    why: 'A node that answers ARP for load balancer addresses takes traffic away from the node that announces them.',
    run: strictArp,
  },
  {
    id: 'bridge-netfilter',
    title: 'bridge-nf-call-iptables, if the node has bridges',
    why: 'Without it, the reply of a pod to a pod on the same bridge bypasses IPVS, and the client does not recognize it.',
    run: bridges,
  },
  {
    id: 'local-ports',
    title: 'ip_local_port_range against node ports',
    why: 'If a connection of the node uses a node port as its source port, IPVS intercepts the replies.',
    run: localPorts,
  },
  {
    id: 'configured-settings',
    title: 'the conntrack settings of the configuration',
    why: 'A configured limit or timeout that is not in force shows only under load.',
    run: configuredSettings,
  },
]);
