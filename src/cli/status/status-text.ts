import { formatCount, printable } from '../../base/text.js';
import type { RefusedOperationResponse, StatusResponse } from '../../admin-api/responses.js';
import { formatColumns, type Cell } from '../output/columns.js';
import { durationText } from '../admin/service-index.js';
import type { Palette } from '../output/palette.js';

/** Why the daemon is not healthy and synced; none where it is. */
export const healthProblems = ({
  source,
  synced,
  healthy,
  packetRules,
  lastSync,
}: StatusResponse): readonly string[] => {
  if (!source.delivered)
    return [
      `${source.name} has not told what there is yet${source.trouble === undefined ? '' : `: ${source.trouble}`}`,
    ];
  if (!synced)
    return [
      lastSync === undefined
        ? 'the first sync has not ended yet'
        : 'no sync has come to its end yet; the log says what breaks them',
    ];
  if (healthy) return [];
  const refused = Object.entries(packetRules).filter(([, { inForce }]) => !inForce);
  return refused.length === 0
    ? ['a sync has been outstanding for too long; the log says what keeps it']
    : refused.map(([family, { trouble }]) => `the packet rules for ${family} are not in force: ${trouble}`);
};

/** A line, and whether somebody should look at it. */
interface StatusLine {
  readonly title: string;
  readonly text: string;
  readonly mark?: 'warning' | 'danger' | undefined;
}

/** So many of a list fit on a screen that has other things to tell. */
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
      ? 'tried again when it changes'
      : `tried again in ${durationText(nextTrySeconds)}`;
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
  const end = succeeded ? '' : ', and did not come to its end';
  return {
    title: 'last sync',
    text: `${durationText(secondsAgo)} ago, took ${took}: ${formatCount(applied, 'operation')} done, ${failed} refused${end}`,
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
    title: 'in the kernel',
    text: [
      formatCount(counts.virtualServers, 'virtual server'),
      formatCount(counts.realServers, 'real server'),
      formatCount(counts.addresses, 'address'),
      formatCount(counts.packetRuleElements, 'packet-rule element'),
    ].join(', '),
  },
  { title: 'of others', text: formatCount(counts.foreignVirtualServers, 'virtual server') },
  {
    title: 'draining',
    text: [
      formatCount(counts.draining, 'real server'),
      ...(counts.lingering === 0
        ? []
        : [`${formatCount(counts.lingering, 'virtual server')} that no Service asks for any more`]),
    ].join(', '),
  },
  {
    title: 'problems',
    text: counts.problems === 0 ? 'none' : `${counts.problems} (events of the Services tell them)`,
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
            `${node}, ${durationText(secondsAgo)} ago, and ${formatCount(realServers, 'draining real server')} with it`,
        ),
      );

const driftText = ({ drift }: StatusResponse): string =>
  drift.length === 0
    ? 'none'
    : `${drift.map(({ object, drift: how, count: times }) => `${object} ${how} ${times}×`).join(', ')}; put right`;

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
      ({ virtualServer, service }) => `${virtualServer}, which ${service} asks for, is somebody else's`,
    ),
  ),
  ...lostNodeLines(status),
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

/** One screen for people; `!` stands before what somebody should look at. */
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
