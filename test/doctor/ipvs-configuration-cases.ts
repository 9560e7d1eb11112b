import { syncAddresses, type SyncDaemon } from '../../src/model/sync-daemon.js';
import type { Facts } from '../../src/doctor/facts.js';
import { numbers } from '../support/doctor-facts.js';
import { kubeIpvsSettings } from '../support/kube-ipvs-settings.js';
import { ip } from '../support/objects.js';
import type { Case } from './check-cases.js';

const configured = (fields: string, ...flags: readonly string[]): Facts['configuration'] => ({
  files: ['config.conf'],
  settings: kubeIpvsSettings(fields, ...flags),
  problems: [],
});

const synchronized = configured('connectionSync: {interface: eth1, group: 7}', '--conntrack-tcp-be-liberal');
const daemon = (role: SyncDaemon['role']): SyncDaemon => ({
  role,
  interface: 'eth1',
  syncId: 7,
  address: syncAddresses('').IPv4,
  port: 8848,
  ttl: 1,
});
const both = { value: [daemon('master'), daemon('backup')] };

/** Cases of the checks of what KubeIpvsConfiguration makes of IPVS. */
export const ipvsConfigurationCases: readonly Case[] = [
  {
    what: 'a setting that another program changed',
    id: 'ipvs-tuning',
    wrong: { configuration: configured('kernel: {estimatorCpuList: "0,1", estimatorNice: 5}') },
    result: 'warn',
    shows: ['net.ipv4.vs.est_cpulist', '0-3', '0-1', 'net.ipv4.vs.est_nice', '5'],
    commands: ['sysctl -w net.ipv4.vs.est_cpulist=0-1', 'sysctl -w net.ipv4.vs.est_nice=5'],
  },
  {
    what: 'a load factor before Linux 7.1',
    id: 'ipvs-tuning',
    wrong: { configuration: configured('kernel: {connectionLoadFactor: -5}') },
    result: 'warn',
    shows: ['6.12.48', 'net.ipv4.vs.conn_lfactor', '7.1'],
    advises: ['Linux 7.1', 'kernel.connectionLoadFactor: null', 'conn_tab_bits', '12', '4096'],
    commands: ['echo options ip_vs conn_tab_bits=14 > /etc/modprobe.d/ip_vs.conf'],
  },
  {
    what: 'no settings that can be read',
    id: 'ipvs-tuning',
    wrong: { kernelSettings: new Map() },
    result: 'unknown',
    shows: ['net.ipv4.vs'],
    commands: [],
  },
  {
    what: 'the kernel takes part as configured',
    id: 'connection-sync',
    wrong: {
      configuration: synchronized,
      syncDaemons: both,
      kernelSettings: numbers({ 'net.ipv4.vs.sync_threshold': { text: '3 0' } }),
    },
    result: 'pass',
    shows: ['master on eth1, group 7', 'backup on eth1, group 7'],
    commands: [],
  },
  {
    what: 'a daemon that does not run',
    id: 'connection-sync',
    wrong: { configuration: synchronized, syncDaemons: { value: [daemon('master')] } },
    result: 'fail',
    shows: ['eth1', 'backup'],
    advises: ['eth1'],
    commands: ['kube-ipvs status'],
  },
  {
    what: 'a daemon of another program',
    id: 'connection-sync',
    wrong: {
      configuration: synchronized,
      syncDaemons: { value: [{ ...daemon('master'), address: ip('224.0.0.81') }] },
    },
    result: 'fail',
    shows: ['224.0.0.81'],
    commands: ['ipvsadm --stop-daemon master'],
  },
  {
    what: 'another threshold than configured',
    id: 'connection-sync',
    wrong: {
      configuration: synchronized,
      syncDaemons: both,
      kernelSettings: numbers({ 'net.ipv4.vs.sync_threshold': { text: '3 50' } }),
    },
    result: 'warn',
    shows: ['net.ipv4.vs.sync_threshold', '3 50', '3 0'],
    commands: ['sysctl -w "net.ipv4.vs.sync_threshold=3 0"'],
  },
  {
    what: 'connections cannot come back',
    id: 'connection-sync',
    wrong: {
      configuration: configured('connectionSync: {interface: eth1, group: 7}'),
      syncDaemons: both,
    },
    result: 'warn',
    shows: ['conntrack.tcpBeLiberal'],
    advises: ['conntrack.tcpBeLiberal: true'],
    commands: [],
  },
];
