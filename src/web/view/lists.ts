import type { PageSample } from '../../admin-api/page.js';
import { durationText } from '../../cli/admin/service-index.js';
import { serviceLink } from './links.js';
import { el } from './elements.js';

type Cell = Node | string;

/** A table of a few rows; wide ones scroll in themselves. */
export const plainTable = (
  caption: string,
  titles: readonly string[],
  rows: readonly (readonly Cell[])[],
): HTMLElement =>
  el(
    'div',
    { class: 'scrolling', attributes: { tabindex: '0', role: 'group', 'aria-label': caption } },
    el(
      'table',
      {},
      el('caption', { text: caption }),
      el(
        'thead',
        {},
        el('tr', {}, ...titles.map((text) => el('th', { text, attributes: { scope: 'col' } }))),
      ),
      el('tbody', {}, ...rows.map((cells) => el('tr', {}, ...cells.map((cell) => el('td', {}, cell))))),
    ),
  );

interface List {
  readonly caption: string;
  readonly titles: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

const problemLists = ({ problems, status }: PageSample): readonly List[] => [
  {
    caption: 'Problems of Services',
    titles: ['Service', 'Reason', 'What is wrong'],
    rows: problems.map(({ service, reason, message }) => [serviceLink(service), reason, message]),
  },
  {
    caption: 'Operations that the kernel refused',
    titles: ['Object', 'Reason', 'Since', 'Next attempt'],
    rows: status.refused.map(({ what, reason, seconds, nextTrySeconds }) => [
      what,
      reason,
      durationText(seconds),
      nextTrySeconds === undefined ? 'after a change' : `in ${durationText(nextTrySeconds)}`,
    ]),
  },
  {
    caption: 'Virtual servers of other programs in a conflict',
    titles: ['Virtual server', 'Service'],
    rows: status.contested.map(({ virtualServer, service }) => [virtualServer, serviceLink(service)]),
  },
  {
    caption: 'Packet rules that are not in force',
    titles: ['Family', 'Why'],
    rows: Object.entries(status.packetRules)
      .filter(([, { inForce }]) => !inForce)
      .map(([family, { trouble = '' }]) => [family, trouble]),
  },
];

const drainLists = ({ drains, status }: PageSample): readonly List[] => [
  {
    caption: 'Draining real servers',
    titles: ['Service', 'Virtual server', 'Real server', 'Pod', 'Reason', 'Since', 'Left'],
    rows: drains.map(({ virtualServer, realServer, service, pod = '', reason, seconds, secondsLeft }) => [
      serviceLink(service),
      virtualServer,
      realServer,
      pod,
      reason,
      durationText(seconds),
      durationText(secondsLeft),
    ]),
  },
  {
    caption: 'Orphaned virtual servers',
    titles: ['Virtual server', 'Service', 'Since', 'Left'],
    rows: status.lingering.map(({ virtualServer, service = '', seconds, secondsLeft }) => [
      virtualServer,
      service,
      durationText(seconds),
      durationText(secondsLeft),
    ]),
  },
];

const driftLists = ({ status }: PageSample): readonly List[] => [
  {
    caption: 'Changes by other programs that kube-ipvs repaired',
    titles: ['Object', 'What was wrong', 'Count'],
    rows: status.drift.map(({ object, drift, count }) => [object, drift, String(count)]),
  },
];

const lists = { drains: drainLists, drift: driftLists, problems: problemLists } as const;
export type ListView = keyof typeof lists;

const countOf = (all: readonly List[]): number => all.reduce((sum, { rows }) => sum + rows.length, 0);

/** How many items a view has. */
export const listCount = (view: ListView, sample: PageSample): number => {
  const { draining, lingering, problems } = sample.status.counts;
  if (view === 'drains') return draining + lingering;
  if (view === 'drift') return sample.status.drift.reduce((sum, { count }) => sum + count, 0);
  return countOf(problemLists(sample)) - sample.problems.length + problems;
};

const emptyTexts: Readonly<Record<ListView, string>> = {
  drains: 'No real server is draining.',
  drift: 'No other program changed an object of kube-ipvs since the daemon started.',
  problems: 'No problems: every Service is served as requested.',
};

/** The elements of a view. */
export const listElements = (view: ListView, sample: PageSample): readonly HTMLElement[] => {
  const filled = lists[view](sample).filter(({ rows }) => rows.length > 0);
  return filled.length === 0
    ? [el('p', { class: 'empty', text: emptyTexts[view] })]
    : filled.map(({ caption, titles, rows }) => plainTable(caption, titles, rows));
};
