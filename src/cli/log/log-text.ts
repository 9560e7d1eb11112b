import type { LogCount, LogEvent, LogRecord } from '../../admin-api/log-response.js';
import type { ChangeCause } from '../../model/change-cause.js';
import { entryName, formatEntry, type PlanEntry } from '../../model/plan-entry.js';
import { durationText } from '../admin/service-index.js';
import { columnLines, type Cell, type Column } from '../output/columns.js';
import type { Palette } from '../output/palette.js';
import { momentText } from './log-time.js';

/** What people read for the cause of a change. */
export const causeTexts: Readonly<Record<ChangeCause, string>> = {
  start: 'daemon started',
  'take-over': 'take-over',
  reread: 'kernel read again',
  drift: 'changed by another program',
  ownership: "another program's virtual server",
  retry: 'retry',
  'drain-ended': 'drain ended',
  pace: 'slow start or quarantine',
  'service-added': 'Service added',
  'service-changed': 'Service changed',
  'service-deleted': 'Service deleted',
  'endpoints-changed': 'EndpointSlices changed',
  'service-and-endpoints-changed': 'Service, EndpointSlices changed',
  'node-changed': 'Node changed',
  'node-addresses-changed': 'node addresses changed',
  'settings-changed': 'settings changed',
  'follow-up': 'follow-up',
};

const eventTexts: Readonly<Record<LogEvent, string>> = {
  changed: 'change',
  refused: 'refused operation',
  'drain-begun': 'drain began',
  'drain-ended': 'drain ended',
  'conflict-begun': 'conflict began',
  'conflict-ended': 'conflict ended',
  'rules-declared': 'packet rules declared',
  'interface-created': 'interface created',
  'settings-changed': 'settings changed',
  started: 'daemon started',
  summary: 'summary',
};

/** At most this many sorts of changes of a summary are shown. */
const maximumSorts = 5;

const sortText = ({ event, op, kind, cause, count }: LogCount): string => {
  const name =
    op === undefined ? eventTexts[event] : entryName({ op, kind: (kind ?? 'element') as PlanEntry['kind'] });
  return `${count} × ${name}${cause === undefined ? '' : ` (${causeTexts[cause]})`}`;
};

const summaryText = ({ from = '', count = 0, counts = [] }: LogRecord, now: number): string => {
  const sorts = counts.slice(0, maximumSorts).map(sortText);
  const rest = counts.length > sorts.length ? [`${counts.length - sorts.length} more sorts`] : [];
  return `${count} more changes since ${momentText(new Date(from), now)}, not listed singly: ${[...sorts, ...rest].join(', ')}`;
};

const endpointText = ({ pod, node }: LogRecord): string => {
  const place = [pod, node === undefined ? undefined : `on ${node}`].filter((part) => part !== undefined);
  return place.length === 0 ? '' : ` (${place.join(' ')})`;
};

/** What happened, in one line. */
export const recordText = (record: LogRecord, now: number): string => {
  const { event, virtualServer = '', key = '', reason = '', seconds = 0, details = [] } = record;
  switch (event) {
    case 'changed':
      return `${formatEntry({ ...record, key } as PlanEntry)}${endpointText(record)}`;
    case 'refused':
      return `refused: ${record.operation}: ${reason}`;
    case 'drain-begun':
      return `drain began: ${virtualServer} → ${key}${endpointText(record)}`;
    case 'drain-ended':
      return `drain ended after ${durationText(seconds)}, ${reason}: ${virtualServer} → ${key}${endpointText(record)}`;
    case 'conflict-begun':
      return `conflict began: another program created ${virtualServer}`;
    case 'conflict-ended':
      return `conflict ended: ${virtualServer}`;
    case 'rules-declared':
      return `packet rules declared: ${record.family}`;
    case 'interface-created':
      return `interface created: ${key}`;
    case 'settings-changed':
    case 'started':
      return `${eventTexts[event]}: ${details.join(', ')}`;
    case 'summary':
      return summaryText(record, now);
    default:
      // A daemon of a later version.
      return [event, virtualServer, key, reason].filter((part) => part !== '').join(' ');
  }
};

const attention: Readonly<Partial<Record<string, 'warning' | 'danger'>>> = {
  refused: 'danger',
  'conflict-begun': 'danger',
  summary: 'warning',
};

const rowOf = (record: LogRecord, now: number, palette: Palette): readonly Cell[] => {
  const { event, at, service = '-', cause } = record;
  const mark = attention[event] ?? (cause === 'drift' ? 'warning' : undefined);
  const text = recordText(record, now);
  return [
    { text: momentText(new Date(at), now), paint: palette.faint },
    service,
    cause === undefined ? '-' : (causeTexts[cause] ?? cause),
    mark === undefined ? text : { text, paint: palette[mark] },
  ];
};

/** Wide enough for most records: with --follow the width is not known before. */
const followWidths = [12, 24, 26, 0];

/** Aligned lines, one for each record. `isFollowing`: later lines are aligned with these. */
export const logLines = (
  records: readonly LogRecord[],
  { now, palette, titles, isFollowing }: LogTextOptions,
): Iterable<string> => {
  const columns = ['TIME', 'SERVICE', 'CAUSE', 'CHANGE'].map(
    (title, index): Column => ({
      title,
      align: 'left',
      minimumWidth: isFollowing ? (followWidths[index] ?? 0) : 0,
    }),
  );
  const rows = records.map((record) => rowOf(record, now, palette));
  return columnLines(columns, rows, { titles, paintTitle: palette.strong });
};

export interface LogTextOptions {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly palette: Palette;
  readonly titles: boolean;
  readonly isFollowing: boolean;
}
