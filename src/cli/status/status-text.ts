import { formatCount, printable } from '../../base/text.js';
import type { SyncDaemonResponse } from '../../admin-api/kernel-responses.js';
import type { RefusedOperationResponse, StatusResponse } from '../../admin-api/responses.js';
import { formatColumns, type Cell } from '../output/columns.js';
import { durationText } from '../admin/service-index.js';
import type { Palette } from '../output/palette.js';

/** Why the daemon is not healthy and synced; empty where it is. */
export const healthProblems = ({
  source,
  synced,
  healthy,
  packetRules,
  lastSync,
}: StatusResponse): readonly string[] => {
  if (!source.delivered)
    return [
      `${source.name} has not delivered its objects yet${source.trouble === undefined ? '' : `: ${source.trouble}`}`,
    ];
  if (!synced)
    return [
      lastSync === undefined
        ? 'the first sync has not finished yet'
        : 'no sync has succeeded yet; see the log for the cause',
    ];
  if (healthy) return [];
  const refused = Object.entries(packetRules).filter(([, { inForce }]) => !inForce);
  return refused.length === 0
    ? ['a sync has been outstanding for too long; see the log for the cause']
    : refused.map(([family, { trouble }]) => `the packet rules for ${family} are not in force: ${trouble}`);
};

/** A line, marked if it needs attention. */
interface StatusLine {
  readonly title: string;
  readonly text: string;
  readonly mark?: 'warning' | 'danger' | undefined;
}

/** At most this many items of a list are shown. */
const maximumListed = 3;

const listLines = (title: string, total: number, items: readonly string[]): readonly StatusLine[] => {
  if (total === 0) return [{ title, text: 'none' }];
  const shown = items.slice(0, maximumListed);
  const lines = shown.map(
    (text, index): StatusLine => ({ title: index === 0 ? title : '', text, mark: 'warning' }),
  );
  return total === shown.length ? lines : [...lines, { title: '', text: `and ${total - shown.length} more` }];
};

const refusalText = ({ what, reason, seconds, nextTrySeconds }: RefusedOperationResponse): string => {
  const next =
    nextTrySeconds === undefined
      ? 'next attempt after a change'
      : `next attempt in ${durationText(nextTrySeconds)}`;
  return `${what}, for ${durationText(seconds)}: ${reason} (${next})`;
};

const sourceLine = ({ source: { name, delivered, trouble } }: StatusResponse): StatusLine => ({
  title: 'source',
  text: [
    name,
    delivered ? 'delivered' : 'not delivered yet',
    ...(trouble === undefined ? [] : [trouble]),
  ].join(', '),
  mark: !delivered ? 'danger' : trouble === undefined ? undefined : 'warning',
});

const syncLine = ({ lastSync, synced }: StatusResponse): StatusLine => {
  if (lastSync === undefined) return { title: 'last sync', text: 'none yet', mark: 'danger' };
  const { secondsAgo, tookSeconds, succeeded, applied, failed } = lastSync;
  const took = `${Math.round(tookSeconds * 1_000)} ms`;
  return {
    title: 'last sync',
    text: `${succeeded ? '' : 'failed '}${durationText(secondsAgo)} ago, took ${took}: ${formatCount(applied, 'operation')} applied, ${failed} refused`,
    mark: synced && succeeded ? undefined : 'danger',
  };
};

const rulesLine = ({ packetRules }: StatusResponse): StatusLine => ({
  title: 'packet rules',
  text: Object.entries(packetRules)
    .map(([family, { inForce, trouble }]) => `${family} ${inForce ? 'in force' : `NOT in force: ${trouble}`}`)
    .join(', '),
  mark: Object.values(packetRules).every(({ inForce }) => inForce) ? undefined : 'danger',
});

const countLines = ({ counts }: StatusResponse): readonly StatusLine[] => [
  { title: 'Services', text: String(counts.services) },
  {
    title: 'kernel',
    text: [
      formatCount(counts.virtualServers, 'virtual server'),
      formatCount(counts.realServers, 'real server'),
      formatCount(counts.addresses, 'address'),
      formatCount(counts.packetRuleElements, 'packet rule element'),
    ].join(', '),
  },
  {
    title: 'foreign',
    text: `${formatCount(counts.foreignVirtualServers, 'virtual server')} of other programs`,
  },
  {
    title: 'draining',
    text: [
      formatCount(counts.draining, 'real server'),
      ...(counts.lingering === 0 ? [] : [formatCount(counts.lingering, 'orphaned virtual server')]),
    ].join(', '),
  },
  {
    title: 'problems',
    text: counts.problems === 0 ? 'none' : `${counts.problems} (see the Events of the Services)`,
    mark: counts.problems === 0 ? undefined : 'warning',
  },
];

const lostNodeLines = ({ lostNodes }: StatusResponse): readonly StatusLine[] =>
  lostNodes.length === 0
    ? []
    : listLines(
        'lost nodes',
        lostNodes.length,
        lostNodes.map(
          ({ node, secondsAgo, realServers }) =>
            `${node}, ${durationText(secondsAgo)} ago, with ${formatCount(realServers, 'draining real server')}`,
        ),
      );

const syncDaemonText = ({ role, status, interface: name, group, trouble }: SyncDaemonResponse): string => {
  if (trouble !== undefined) return `${role} NOT running: ${trouble}`;
  return `${role} ${status === 'foreign' ? 'of another program ' : ''}on ${name}, group ${group}`;
};

const syncDaemonLines = ({ connectionSync = [] }: StatusResponse): readonly StatusLine[] =>
  connectionSync.map((daemon, index) => ({
    title: index === 0 ? 'connection sync' : '',
    text: syncDaemonText(daemon),
    mark: daemon.trouble === undefined ? undefined : 'warning',
  }));

const driftText = ({ drift }: StatusResponse): string =>
  drift.length === 0
    ? 'none'
    : `${drift.map(({ object, drift: how, count: times }) => `${object} ${how} ${times}×`).join(', ')}; repaired`;

const linesOf = (status: StatusResponse): readonly StatusLine[] => [
  sourceLine(status),
  syncLine(status),
  ...countLines(status),
  rulesLine(status),
  ...listLines(
    'refused',
    status.refusedCount,
    status.refused.map((refusal) => refusalText(refusal)),
  ),
  ...listLines(
    'contested',
    status.contested.length,
    status.contested.map(
      ({ virtualServer, service }) =>
        `another program created ${virtualServer}, which Service ${service} requests`,
    ),
  ),
  ...lostNodeLines(status),
  ...syncDaemonLines(status),
  { title: 'drift', text: driftText(status) },
  {
    title: 'ports',
    text: Object.entries(status.ports)
      .map(([name, address]) => `${name} ${address}`)
      .join(', '),
  },
  {
    title: 'config',
    text: [status.configDigest, `scheduler ${status.scheduler}`, ...status.configFiles].join(', '),
  },
  {
    title: 'process',
    text: `${status.pid}, up ${durationText(status.uptimeSeconds)}, kernel ${status.kernelRelease}`,
  },
];

const headline = (status: StatusResponse, { strong, danger }: Palette): string => {
  const zone = status.zone === undefined ? '' : ` in zone ${status.zone}`;
  const state = healthProblems(status).length === 0 ? strong('healthy') : danger('NOT healthy');
  return `kube-ipvs v${status.programVersion} on ${status.node}${zone}: ${state}`;
};

/** The status as text; `!` marks lines that need attention. */
export const statusText = (status: StatusResponse, palette: Palette): string => {
  const rows = linesOf(status).map(({ title, text, mark }): readonly Cell[] => [
    mark === undefined ? '' : { text: '!', paint: palette[mark] },
    { text: title, paint: palette.faint },
    mark === undefined ? text : { text, paint: palette[mark] },
  ]);
  const left = { title: '', align: 'left' } as const;
  const problemLines = healthProblems(status).map(
    (reason) => `${palette.danger(printable(`!  ${reason}`))}\n`,
  );
  return `${headline(status, palette)}\n${problemLines.join('')}${formatColumns([{ ...left, minimumWidth: 1 }, left, left], rows, { titles: false })}`;
};
