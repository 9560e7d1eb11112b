import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { release } from 'node:os';
import { basename } from 'node:path';
import { BaseError } from '../../base/errors.js';
import { connectionTableBits, ipvsSynchronization, ipvsTuning } from '../../kernel/ipvs/settings.js';
import { readKernelParameter, sysctl, type KernelParameterValue } from '../../kernel/sysctl.js';
import type { Ipvs, MemoryFacts, ProcessFacts, ProgramFact } from '../facts.js';
import { runOnNode } from '../remedy.js';
import { FactUnavailableError } from './collect-fact.js';

const readText = (file: string): string => readFileSync(file, 'utf8');

const ipvsSettingNames =
  'conntrack conn_reuse_mode expire_nodest_conn expire_quiescent_template run_estimation drop_packet drop_entry secure_tcp pmtu_disc conn_lfactor';
const conntrackSettingNames =
  'count max buckets tcp_timeout_established tcp_timeout_close_wait udp_timeout udp_timeout_stream tcp_be_liberal';

const kernelSettingNames: readonly string[] = [
  ...ipvsSettingNames.split(' ').map((name) => `net.ipv4.vs.${name}`),
  ...conntrackSettingNames.split(' ').map((name) => `net.netfilter.nf_conntrack_${name}`),
  ...'ip_forward conf.all.route_localnet conf.all.rp_filter conf.all.arp_ignore conf.all.arp_announce tcp_keepalive_time'
    .split(' ')
    .map((name) => `net.ipv4.${name}`),
  'net.ipv6.conf.all.forwarding',
  'net.bridge.bridge-nf-call-iptables',
  'net.bridge.bridge-nf-call-ip6tables',
];

/** Every kernel setting that a check reads. */
export const readKernelSettings = (): ReadonlyMap<string, KernelParameterValue> =>
  new Map(
    [
      ...kernelSettingNames.map(sysctl),
      ...Object.values(ipvsTuning).map(({ setting }) => setting),
      ...Object.values(ipvsSynchronization),
      connectionTableBits,
    ].map((setting) => [setting.name, readKernelParameter(setting)]),
  );

export const localPorts = (): {
  readonly first: number;
  readonly last: number;
  readonly reserved: string;
} => {
  const [first, last] = readText('/proc/sys/net/ipv4/ip_local_port_range').trim().split(/\s+/).map(Number);
  if (first === undefined || last === undefined)
    throw new BaseError('ip_local_port_range does not contain two numbers');
  return { first, last, reserved: readText('/proc/sys/net/ipv4/ip_local_reserved_ports').trim() };
};

/** Only the initial network namespace has this file (kernel: net/core/sysctl_net_core.c). */
export const isInitialNetwork = (): boolean => existsSync('/proc/sys/net/core/netdev_budget');

/** Lines of /proc/net/ip_vs: `  -> 0AF4000B:1F90      Masq    1      0          0`. */
export const parseIpvsTable = (table: string): Ipvs => {
  const lines = table.split('\n');
  const [, version = '?', buckets = '0'] = /version (\S+) \(size=(\d+)\)/.exec(lines[0] ?? '') ?? [];
  const real = lines.filter((line) => line.startsWith('  -> ') && !line.includes('RemoteAddress'));
  const connections = real.reduce((sum, line) => {
    const [active = 0, inactive = 0] = line.trim().split(/\s+/).slice(-2).map(Number);
    return sum + active + inactive;
  }, 0);
  return {
    version,
    buckets: Number(buckets),
    virtualServers: lines.filter((line) => /^(TCP|UDP|SCTP|FWM) /.test(line)).length,
    realServers: real.length,
    connections,
  };
};

export const ipvsTable = (): Ipvs =>
  existsSync('/proc/net/ip_vs') ? parseIpvsTable(readText('/proc/net/ip_vs')) : 'absent';

/** Whether this kernel has the driver, built in or as a module. */
export const dummyModule = (): 'available' | 'absent' => {
  if (existsSync('/sys/module/dummy')) return 'available';
  const folder = `/lib/modules/${release()}`;
  const lists = ['modules.builtin', 'modules.dep'].map((name) => `${folder}/${name}`).filter(existsSync);
  if (lists.length === 0)
    throw new FactUnavailableError(
      `no dummy interface exists yet, and ${folder} does not list the modules of the kernel`,
      runOnNode('modprobe -n dummy'),
    );
  return lists.some((list) => /\/dummy\.ko/.test(readText(list))) ? 'available' : 'absent';
};

/** Ports of TCP sockets in the state LISTEN: `0: 0100007F:2808 00000000:0000 0A …` */
export const listeningPorts = (): readonly number[] => {
  const files = ['/proc/net/tcp', '/proc/net/tcp6'].filter(existsSync);
  const ports = files.flatMap((file) =>
    [...readText(file).matchAll(/^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) \S+ 0A /gm)].map((match) =>
      Number.parseInt(match[1] ?? '', 16),
    ),
  );
  return [...new Set(ports)].toSorted((a, b) => a - b);
};

const knownPrograms: readonly string[] = [
  'kube-proxy',
  'kube-router',
  'cilium-agent',
  'calico-node',
  'keepalived',
  'kube-vip',
  'speaker',
  'node-cache',
];

/** The program of a command line. kube-ipvs is a script of Node, which may be called kube-proxy. */
export const programOf = (words: readonly string[]): string | undefined => {
  const [first = '', second = '', third = '-'] = words;
  const program = basename(first);
  if (knownPrograms.includes(program)) return program;
  const isNode = /^node(js)?$/.test(program);
  const script = basename(isNode ? second : first);
  const next = isNode ? third : second || '-';
  const isOurs = script === 'kube-ipvs' || script === 'kube-ipvs.js' || (isNode && script === 'kube-proxy');
  return isOurs && (next === 'run' || next === '' || next.startsWith('-')) ? 'kube-ipvs' : undefined;
};

const linkTarget = (file: string): string | undefined => {
  try {
    return readlinkSync(file);
  } catch {
    return undefined; // no permission
  }
};

/** Programs that may conflict with a service proxy, in this network namespace, as far as this process namespace shows them. */
export const programs = (): readonly ProgramFact[] => {
  const own = linkTarget('/proc/self/ns/net');
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      try {
        const program = programOf(readText(`/proc/${name}/cmdline`).split('\0'));
        const network = linkTarget(`/proc/${name}/ns/net`);
        const isElsewhere = network !== undefined && network !== own;
        return program === undefined || isElsewhere ? [] : [{ name: program, pid: Number(name) }];
      } catch {
        return []; // the process has ended
      }
    });
};

/** include/uapi/linux/capability.h: the bits that matter here */
const capabilityBits = { NET_ADMIN: 12, SYS_ADMIN: 21 } as const;

export const processFacts = (daemon: number | undefined): ProcessFacts => {
  const folder = `/proc/${daemon ?? 'self'}`;
  const status = readText(`${folder}/status`);
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  const files = /^Max open files\s+(\d+|unlimited)/m.exec(readText(`${folder}/limits`))?.[1] ?? '0';
  return {
    processName: daemon === undefined ? 'this process' : `the daemon (process ${daemon})`,
    user: Number(/^Uid:\s+\d+\s+(\d+)/m.exec(status)?.[1] ?? -1),
    capabilities: Object.entries(capabilityBits)
      .filter(([, bit]) => (effective >> BigInt(bit)) % 2n === 1n)
      .map(([name]) => name),
    openFiles: files === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(files),
  };
};

/** Of the control group (version 2) of a process, or of the whole machine; the limit of version 1 is not read. */
export const memoryFacts = (daemon: number | undefined): MemoryFacts => {
  const group = /^0::(\S+)/m.exec(readText(`/proc/${daemon ?? 'self'}/cgroup`))?.[1] ?? '/';
  const folder = [`/sys/fs/cgroup${group}`, '/sys/fs/cgroup'].find((path) =>
    existsSync(`${path}/memory.current`),
  );
  if (folder === undefined) return { limit: undefined, used: process.memoryUsage.rss() };
  const limit = existsSync(`${folder}/memory.max`) ? readText(`${folder}/memory.max`).trim() : 'max';
  return {
    limit: limit === 'max' ? undefined : Number(limit),
    used: Number(readText(`${folder}/memory.current`)),
  };
};

/** MTU by interface. */
export const mtuOf = (link: string): number | undefined => {
  try {
    return Number(readText(`/sys/class/net/${link}/mtu`));
  } catch {
    return undefined; // no sysfs, or that of another network namespace
  }
};
