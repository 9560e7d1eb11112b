import type { ConnectionSyncSettings } from '../../config/kube-ipvs/connection-sync.js';
import type { Settings } from '../../config/settings.js';
import { ipvsSynchronization, ipvsTuning } from '../../kernel/ipvs/settings.js';
import type { KernelSetting } from './kernel-setting.js';

type TuningField = keyof Settings['kernelTuning'];

/** What leaves the kernel's value alone. */
const unchanged: Readonly<Record<TuningField, string>> = {
  estimatorCpuList: '""',
  estimatorNice: 'null',
  connectionLoadFactor: 'null',
  serviceLoadFactor: 'null',
};

/** The settings of `kernel` in the configuration. */
export const tuningSettings = (configured: Settings['kernelTuning']): readonly KernelSetting[] => {
  const fields = ['estimatorCpuList', 'estimatorNice', 'connectionLoadFactor', 'serviceLoadFactor'] as const;
  return fields.flatMap((field): readonly KernelSetting[] => {
    const value = configured[field];
    if (value === '' || value === null) return [];
    const avoidedBy = `kernel.${field}: ${unchanged[field]}`;
    return [{ ...ipvsTuning[field], value, why: `kernel.${field} requires it`, kept: true, avoidedBy }];
  });
};

/** What the daemons of connectionSync need. A buffer has its size from the start of its daemon. */
export const synchronizationSettings = (configured: ConnectionSyncSettings): readonly KernelSetting[] => {
  const kept = (
    field: keyof typeof ipvsSynchronization,
    value: number | string,
    why = `connectionSync.${field} requires it`,
  ): KernelSetting => ({ setting: ipvsSynchronization[field], value, why, kept: true });
  const ifSet = (field: 'queueLength' | 'socketBufferSize'): readonly KernelSetting[] =>
    configured[field] === 0 ? [] : [kept(field, configured[field])];
  return [
    kept(
      'threshold',
      `${configured.packetThreshold} ${configured.packetInterval}`,
      'connectionSync.packetThreshold and packetInterval require it',
    ),
    kept('refreshPeriod', Math.ceil(configured.refreshPeriod / 1_000)),
    kept('retries', configured.retries),
    kept('affinityOnly', Number(configured.affinityOnly)),
    kept('threads', configured.threads),
    ...ifSet('queueLength'),
    ...ifSet('socketBufferSize'),
    kept(
      'backupOnly',
      0,
      'with it, a node that receives the connections of other nodes forwards none of its own',
    ),
  ];
};
