import { connectionTableBits, ipvsSynchronization, ipvsTuning } from '../../kernel/ipvs/settings.js';
import { parameterText, type KernelParameter } from '../../kernel/sysctl.js';
import {
  formatSyncDaemon,
  isOwnSyncDaemon,
  syncAddresses,
  syncRoles,
  type SyncDaemon,
} from '../../model/sync-daemon.js';
import { checksInGroup } from '../check.js';
import { checkFact, fail, pass, unknown, warn, type CheckResult } from '../check-result.js';
import type { Facts } from '../facts.js';
import { advise, seeChecks, setKernelParameter, type Remedy } from '../remedy.js';
import { plannedKernelSettings } from './settings.js';

type ConfiguredSetting = ReturnType<typeof plannedKernelSettings>['absent'][number];

const tuningParameters: readonly KernelParameter[] = Object.values(ipvsTuning).map(({ setting }) => setting);
const tuningNames = new Set(tuningParameters.map(({ name }) => name));
const synchronizationNames = new Set(Object.values(ipvsSynchronization).map(({ name }) => name));

const differingSettings = (changes: ReturnType<typeof plannedKernelSettings>['changes']): CheckResult =>
  warn(
    changes
      .map(({ setting, previous, value }) => `${setting.name} is ${previous}, configured ${value}`)
      .join(', '),
    ...changes.map(({ setting, value }) => setKernelParameter(setting.name, value)),
  );

/** Why a configured setting is missing, and what sets the same in this kernel. */
const missingRemedies = (
  { setting, since, avoidedBy }: ConfiguredSetting,
  { kernelSettings }: Facts,
): readonly Remedy[] => {
  const bits = kernelSettings.get(connectionTableBits.name);
  const boot = advise(
    `Boot Linux ${since} or later${avoidedBy === undefined ? '' : `, or set ${avoidedBy} in the configuration`}.`,
  );
  if (!setting.name.endsWith('.conn_lfactor') || typeof bits !== 'number') return [boot];
  return [
    boot,
    advise(
      `Before, only the module parameter conn_tab_bits sizes the table; it is ${bits} (${2 ** bits} buckets). Set it, then reboot.`,
      `echo options ip_vs conn_tab_bits=${Math.min(20, bits + 2)} > /etc/modprobe.d/ip_vs.conf`,
    ),
  ];
};

const tuning = (facts: Facts): CheckResult => {
  const { kernelSettings, release } = facts;
  const shown = [...tuningParameters, connectionTableBits];
  if (shown.every(({ name }) => typeof (kernelSettings.get(name) ?? 'absent') === 'string'))
    return unknown('net.ipv4.vs has none of these settings, or they cannot be read', seeChecks('ipvs'));
  const text = shown.map(({ name }) => `${name} ${parameterText(kernelSettings.get(name))}`).join(', ');
  const { changes, absent } = plannedKernelSettings(facts);
  const differing = changes.filter(({ setting }) => tuningNames.has(setting.name));
  const missing = absent.filter(({ setting }) => tuningNames.has(setting.name));
  if (differing.length > 0) return differingSettings(differing);
  if (missing.length > 0)
    return warn(
      `configured, but Linux ${release} does not have it: ${missing.map(({ setting, since }) => `${setting.name} (since ${since})`).join(', ')}`,
      ...missing.flatMap((setting) => missingRemedies(setting, facts)),
    );
  return pass(text);
};

const foreignRemedy = ({ role }: SyncDaemon): Remedy =>
  advise('If no program needs it, stop it. kube-ipvs leaves it alone.', `ipvsadm --stop-daemon ${role}`);

const synchronizationOf = (daemons: readonly SyncDaemon[], facts: Facts): CheckResult => {
  const { names, connectionSync, conntrack } = facts.configuration.settings;
  const own = syncAddresses(names.serviceProxyName);
  const foreign = daemons.filter((daemon) => !isOwnSyncDaemon(daemon, own));
  const running = daemons.filter((daemon) => isOwnSyncDaemon(daemon, own));
  const list = (some: readonly SyncDaemon[]): string => some.map(formatSyncDaemon).join('; ');
  if (connectionSync === undefined)
    return foreign.length === 0
      ? pass('connectionSync is not configured')
      : pass(`connectionSync is not configured; another program synchronizes connections: ${list(foreign)}`);
  if (foreign.length > 0)
    return fail(
      `another program runs ${list(foreign)}; the kernel has one daemon of each role`,
      ...foreign.map(foreignRemedy),
    );
  const missing = syncRoles.filter((role) => !running.some((daemon) => daemon.role === role));
  if (missing.length > 0)
    return fail(
      `configured on ${connectionSync.interface}, but not running: ${missing.join(', ')}`,
      advise(`Check that the interface ${connectionSync.interface} exists, is up and has an address.`),
      advise('See why kube-ipvs cannot start it.', 'kube-ipvs status'),
    );
  const { changes } = plannedKernelSettings(facts);
  const differing = changes.filter(({ setting }) => synchronizationNames.has(setting.name));
  if (differing.length > 0) return differingSettings(differing);
  return conntrack.tcpBeLiberal
    ? pass(list(running))
    : warn(
        `${list(running)}; a connection that returns to this node ends, because conntrack.tcpBeLiberal is false`,
        advise('Set conntrack.tcpBeLiberal: true in the configuration.'),
      );
};

/** What KubeIpvsConfiguration makes of IPVS. */
export const ipvsConfigurationChecks = checksInGroup('ipvs', [
  {
    id: 'ipvs-tuning',
    title: 'the estimators and the tables of IPVS',
    why: 'A setting that this kernel does not have, or that another program changed, has no effect.',
    run: tuning,
  },
  {
    id: 'connection-sync',
    title: 'the synchronization of connections between nodes',
    why: 'Without it, open connections and session affinity end when their address moves to another node.',
    run: (facts) => checkFact(facts.syncDaemons, (daemons) => synchronizationOf(daemons, facts)),
  },
]);
