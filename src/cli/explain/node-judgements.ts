import { count } from '../../base/text.js';
import type { Outcome } from '../../doctor/checks.js';
import { some } from '../../doctor/finding.js';
import { shortcomings } from '../status-text.js';
import { fail, note, ok, warn, type Judgement, type Line, type StoryFacts } from './facts.js';

/** The checks of the doctor that say what becomes of a packet. */
export const nodeChecks: readonly string[] = [
  'ipvs',
  'schedulers',
  'network-namespace',
  'vs-conntrack',
  'connection-reuse',
  'expire-nodest-conn',
  'expire-quiescent-template',
  'ipv4-forwarding',
  'ipv6-forwarding',
  'bridge-netfilter',
  'conntrack',
  'conntrack-limit',
  'nftables',
  'forward-policy',
  'input-policy',
  'two-proxies',
];

const lineOf = ({ id, result, seen, why, remedy }: Outcome): Line =>
  result === 'fail' ? fail(`${id}: ${seen}. ${why}`, remedy) : warn(`${id}: ${seen}`, remedy);

const settings = ({ node }: StoryFacts): readonly Line[] => {
  const of = (wanted: Outcome['result']) => node.filter(({ result }) => result === wanted);
  const passed = of('pass');
  const blind = of('unknown');
  return [
    ...[...of('fail'), ...of('warn')].map(lineOf),
    ...(passed.length === 0
      ? []
      : [
          ok(
            `${count(passed.length, 'check')} of settings, modules and firewalls pass (kube-ipvs doctor has more)`,
          ),
        ]),
    ...(blind.length === 0
      ? []
      : [note(`${count(blind.length, 'check')} could not look: ${some(blind.map(({ id }) => id))}`)]),
  ];
};

const health = ({ status }: StoryFacts): readonly Line[] => {
  if (!('value' in status)) return [];
  const { programVersion, lastSync, source, node } = status.value;
  const lines: Line[] = [];
  if (!source.delivered)
    lines.push(
      fail(
        `kube-ipvs waits for its first full state from ${source.name}${source.trouble === undefined ? '' : `: ${source.trouble}`}`,
        'kube-ipvs doctor --only kubernetes',
      ),
    );
  else if (source.trouble !== undefined)
    lines.push(
      warn(
        `kube-ipvs does not follow ${source.name} now, and works with what it knew: ${source.trouble}`,
        'kube-ipvs doctor --only kubernetes',
      ),
    );
  if (source.delivered)
    for (const reason of shortcomings(status.value))
      lines.push(fail(`kube-ipvs is not healthy: ${reason}`, 'kube-ipvs doctor'));
  if (lastSync !== undefined && lastSync.failed > 0)
    lines.push(note(`the kernel refused ${count(lastSync.failed, 'operation')} of the last sync`));
  if (lines.length === 0) lines.push(ok(`kube-ipvs ${programVersion} on ${node} is healthy and in sync`));
  return lines;
};

const refused = ({ service }: StoryFacts): readonly Line[] =>
  (service?.refused ?? []).map(({ what, reason, nextTrySeconds }) =>
    fail(
      `the kernel refused ${what}: ${reason}`,
      nextTrySeconds === undefined
        ? 'it is tried again when something changes'
        : `it is tried again in ${Math.ceil(nextTrySeconds)} s by itself`,
    ),
  );

const mostEvents = 5;

const events = ({ service }: StoryFacts): readonly Line[] =>
  (service?.events ?? [])
    .slice(0, mostEvents)
    .map(({ at, type, reason, note: text }) => note(`event of ${at}: ${type} ${reason}: ${text}`));

export const nodeJudgements: readonly Judgement[] = [
  {
    id: 'settings',
    title: 'kernel settings, modules and firewalls, by checks of the doctor',
    look: settings,
  },
];

export const daemonJudgements: readonly Judgement[] = [
  { id: 'health', title: 'whether the daemon follows the cluster and is in sync', look: health },
  { id: 'refused', title: 'what the kernel refused', look: refused },
  { id: 'events', title: 'what was told as events', look: events },
];
