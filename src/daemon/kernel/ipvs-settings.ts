import type { ConnectionSyncSettings } from '../../config/connection-sync.js';
import type { Settings } from '../../config/settings.js';
import { sysctl, textSysctl, type KernelParameter } from '../../kernel/sysctl.js';
import type { KernelSetting } from './kernel-setting.js';

const ipvs = (name: string): KernelParameter => sysctl(`net.ipv4.vs.${name}`);
const ipvsText = (name: string): KernelParameter => textSysctl(`net.ipv4.vs.${name}`);

/** Documentation/networking/ipvs-sysctl.rst: what the settings do; by the field of `kernel` that sets them. */
const tuning = {
  estimatorCpuList: { setting: ipvsText('est_cpulist'), since: '6.2' },
  estimatorNice: { setting: ipvs('est_nice'), since: '6.2' },
  connectionLoadFactor: { setting: ipvs('conn_lfactor'), since: '7.1' },
  serviceLoadFactor: { setting: ipvs('svc_lfactor'), since: '7.1' },
} as const satisfies Readonly<
  Record<keyof Settings['kernelTuning'], Pick<KernelSetting, 'setting' | 'since'>>
>;

type TuningField = keyof typeof tuning;

const unchanged: Readonly<Record<TuningField, string>> = {
  estimatorCpuList: '""',
  estimatorNice: 'null',
  connectionLoadFactor: 'null',
  serviceLoadFactor: 'null',
};

const isTuningField = (field: string): field is TuningField => field in tuning;

/** The settings of `kernel` in the configuration. */
export const tuningSettings = (configured: Settings['kernelTuning']): readonly KernelSetting[] =>
  Object.keys(tuning)
    .filter(isTuningField)
    .flatMap((field): readonly KernelSetting[] => {
      const value = configured[field];
      if (value === '' || value === null) return [];
      const why = `kernel.${field} requires it`;
      return [
        { ...tuning[field], value, why, kept: true, avoidedBy: `kernel.${field}: ${unchanged[field]}` },
      ];
    });

/** By the field of `connectionSync` that sets them. */
const synchronization = {
  threshold: ipvsText('sync_threshold'),
  refreshPeriod: ipvs('sync_refresh_period'),
  retries: ipvs('sync_retries'),
  affinityOnly: ipvs('sync_persist_mode'),
  threads: ipvs('sync_ports'),
  queueLength: ipvs('sync_qlen_max'),
  socketBufferSize: ipvs('sync_sock_size'),
  backupOnly: ipvs('backup_only'),
} as const;

/** What the daemons of connectionSync need: all but the first of them take effect at once. */
export const synchronizationSettings = (configured: ConnectionSyncSettings): readonly KernelSetting[] => {
  const kept = (field: keyof typeof synchronization, value: number | string): KernelSetting => ({
    setting: synchronization[field],
    value,
    why: `connectionSync.${field} requires it`,
    kept: true,
  });
  const ifSet = (field: 'queueLength' | 'socketBufferSize'): readonly KernelSetting[] =>
    configured[field] === 0 ? [] : [kept(field, configured[field])];
  return [
    {
      ...kept('threshold', `${configured.packetThreshold} ${configured.packetInterval}`),
      why: 'connectionSync.packetThreshold and packetInterval require it',
    },
    kept('refreshPeriod', Math.ceil(configured.refreshPeriod / 1_000)),
    kept('retries', configured.retries),
    kept('affinityOnly', Number(configured.affinityOnly)),
    kept('threads', configured.threads),
    ...ifSet('queueLength'),
    ...ifSet('socketBufferSize'),
    {
      ...kept('backupOnly', 0),
      why: 'with it, a node that receives the connections of other nodes forwards none of its own',
    },
  ];
};

/** The settings of `kernel`. */
export const ipvsTuningSettings: readonly KernelParameter[] = Object.values(tuning).map(
  ({ setting }) => setting,
);

export const isSynchronizationSetting = ({ name }: KernelParameter): boolean =>
  Object.values(synchronization).some((setting) => setting.name === name);

/** The module parameter of IPVS: the binary logarithm of the connection table's size; since Linux 7.1 of its largest size. */
export const connectionTableBits: KernelParameter = {
  name: 'ip_vs.conn_tab_bits',
  file: '/sys/module/ip_vs/parameters/conn_tab_bits',
};

/** Every setting that `kernel` and `connectionSync` can change. */
export const ipvsSettings: readonly KernelParameter[] = [
  ...ipvsTuningSettings,
  ...Object.values(synchronization),
];
