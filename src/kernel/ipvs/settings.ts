import { sysctl, textSysctl, type KernelParameter } from '../sysctl.js';

const ipvs = (name: string): KernelParameter => sysctl(`net.ipv4.vs.${name}`);
const ipvsText = (name: string): KernelParameter => textSysctl(`net.ipv4.vs.${name}`);

/** Documentation/networking/ipvs-sysctl.rst: the estimators and the tables of IPVS. `since`: the first Linux that has the setting. */
export const ipvsTuning = {
  estimatorCpuList: { setting: ipvsText('est_cpulist'), since: '6.2' },
  estimatorNice: { setting: ipvs('est_nice'), since: '6.2' },
  connectionLoadFactor: { setting: ipvs('conn_lfactor'), since: '7.1' },
  serviceLoadFactor: { setting: ipvs('svc_lfactor'), since: '7.1' },
} as const;

/** The same of the daemons that synchronize connections. */
export const ipvsSynchronization = {
  threshold: ipvsText('sync_threshold'),
  refreshPeriod: ipvs('sync_refresh_period'),
  retries: ipvs('sync_retries'),
  affinityOnly: ipvs('sync_persist_mode'),
  threads: ipvs('sync_ports'),
  queueLength: ipvs('sync_qlen_max'),
  socketBufferSize: ipvs('sync_sock_size'),
  backupOnly: ipvs('backup_only'),
} as const;

/** The module parameter of IPVS: the binary logarithm of the connection table's size; since Linux 7.1 of its largest size. */
export const connectionTableBits: KernelParameter = {
  name: 'ip_vs.conn_tab_bits',
  file: '/sys/module/ip_vs/parameters/conn_tab_bits',
};
