import { formatCount } from '../../../base/text.js';
import type { CheckReport } from '../../../doctor/all-checks.js';
import { abbreviatedList } from '../../../doctor/check-result.js';
import { healthProblems } from '../../status/status-text.js';
import { fail, note, ok, warn, type ReportCheck, type CheckLine, type ReportFacts } from '../facts.js';

/** The checks of the doctor that say what becomes of a packet. */
export const doctorCheckIds: readonly string[] = [
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

const lineOf = ({ id, result, seen, why, remedy }: CheckReport): CheckLine =>
  result === 'fail' ? fail(`${id}: ${seen}. ${why}`, remedy) : warn(`${id}: ${seen}`, remedy);

const settings = ({ node }: ReportFacts): readonly CheckLine[] => {
  const of = (wanted: CheckReport['result']) => node.filter(({ result }) => result === wanted);
  const passed = of('pass');
  const unknown = of('unknown');
  return [
    ...[...of('fail'), ...of('warn')].map(lineOf),
    ...(passed.length === 0
      ? []
      : [
          ok(
            `${formatCount(passed.length, 'check')} of settings, modules and firewalls pass (kube-ipvs doctor has more)`,
          ),
        ]),
    ...(unknown.length === 0
      ? []
      : [
          note(
            `${formatCount(unknown.length, 'check')} could not look: ${abbreviatedList(unknown.map(({ id }) => id))}`,
          ),
        ]),
  ];
};

const health = ({ status }: ReportFacts): readonly CheckLine[] => {
  if (!('value' in status)) return [];
  const { programVersion, lastSync, source, node } = status.value;
  const lines: CheckLine[] = [];
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
    for (const reason of healthProblems(status.value))
      lines.push(fail(`kube-ipvs is not healthy: ${reason}`, 'kube-ipvs doctor'));
  if (lastSync !== undefined && lastSync.failed > 0)
    lines.push(note(`the kernel refused ${formatCount(lastSync.failed, 'operation')} of the last sync`));
  if (lines.length === 0) lines.push(ok(`kube-ipvs ${programVersion} on ${node} is healthy and in sync`));
  return lines;
};

const refused = ({ service }: ReportFacts): readonly CheckLine[] =>
  (service?.refused ?? []).map(({ what, reason, nextTrySeconds }) =>
    fail(
      `the kernel refused ${what}: ${reason}`,
      nextTrySeconds === undefined
        ? 'it is tried again when something changes'
        : `it is tried again in ${Math.ceil(nextTrySeconds)} s by itself`,
    ),
  );

const mostEvents = 5;

const events = ({ service }: ReportFacts): readonly CheckLine[] =>
  (service?.events ?? [])
    .slice(0, mostEvents)
    .map(({ at, type, reason, note: text }) => note(`event of ${at}: ${type} ${reason}: ${text}`));

export const nodeChecks: readonly ReportCheck[] = [
  {
    id: 'settings',
    title: 'kernel settings, modules and firewalls, by checks of the doctor',
    check: settings,
  },
];

export const daemonChecks: readonly ReportCheck[] = [
  { id: 'health', title: 'whether the daemon follows the cluster and is in sync', check: health },
  { id: 'refused', title: 'what the kernel refused', check: refused },
  { id: 'events', title: 'what was told as events', check: events },
];
