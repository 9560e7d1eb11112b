import { formatCount } from '../../../base/text.js';
import type { CheckReport } from '../../../doctor/all-checks.js';
import { abbreviatedList } from '../../../doctor/check-result.js';
import { advise } from '../../../doctor/remedy.js';
import { healthProblems } from '../../status/status-text.js';
import { fail, note, ok, warn, type ReportCheck, type CheckLine, type ReportFacts } from '../facts.js';

/** The doctor's checks that concern packets. */
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

const lineOf = ({ id, result, seen, why, remedies }: CheckReport): CheckLine =>
  result === 'fail' ? fail(`${id}: ${seen}. ${why}`, remedies) : warn(`${id}: ${seen}`, remedies);

const settings = ({ node }: ReportFacts): readonly CheckLine[] => {
  const of = (status: CheckReport['result']) => node.filter(({ result }) => result === status);
  const passed = of('pass');
  const unknown = of('unknown');
  return [
    ...[...of('fail'), ...of('warn')].map(lineOf),
    ...(passed.length === 0
      ? []
      : [
          ok(
            `${formatCount(passed.length, 'check')} of settings, modules and firewalls passed; \`kube-ipvs doctor\` runs all checks`,
          ),
        ]),
    ...(unknown.length === 0
      ? []
      : [
          note(
            `${formatCount(unknown.length, 'check')} could not be made: ${abbreviatedList(unknown.map(({ id }) => id))}`,
          ),
        ]),
  ];
};

const findSourceProblem = [advise('Find the cause.', 'kube-ipvs doctor --only kubernetes')];

const health = ({ status }: ReportFacts): readonly CheckLine[] => {
  if (!('value' in status)) return [];
  const { programVersion, lastSync, source, node } = status.value;
  const lines: CheckLine[] = [];
  if (!source.delivered)
    lines.push(
      fail(
        `${source.name} has not delivered its objects yet${source.trouble === undefined ? '' : `: ${source.trouble}`}`,
        findSourceProblem,
      ),
    );
  else if (source.trouble !== undefined)
    lines.push(
      warn(
        `kube-ipvs cannot follow ${source.name} and works with its last state: ${source.trouble}`,
        findSourceProblem,
      ),
    );
  if (source.delivered)
    for (const reason of healthProblems(status.value))
      lines.push(
        fail(`kube-ipvs is not healthy: ${reason}`, [advise('Find the cause.', 'kube-ipvs doctor')]),
      );
  if (lastSync !== undefined && lastSync.failed > 0)
    lines.push(note(`the kernel refused ${formatCount(lastSync.failed, 'operation')} in the last sync`));
  if (lines.length === 0) lines.push(ok(`kube-ipvs ${programVersion} on ${node} is healthy and in sync`));
  return lines;
};

const refused = ({ service }: ReportFacts): readonly CheckLine[] =>
  (service?.refused ?? []).map(({ what, reason, nextTrySeconds }) =>
    fail(`the kernel refused ${what}: ${reason}`, [
      advise(
        nextTrySeconds === undefined
          ? 'Change the Service: kube-ipvs tries again only then.'
          : `Wait for the next attempt, in ${Math.ceil(nextTrySeconds)} s.`,
      ),
    ]),
  );

const mostEvents = 5;

const events = ({ service }: ReportFacts): readonly CheckLine[] =>
  (service?.events ?? [])
    .slice(0, mostEvents)
    .map(({ at, type, reason, note: text }) => note(`${at} ${type} ${reason}: ${text}`));

export const nodeChecks: readonly ReportCheck[] = [
  {
    id: 'settings',
    title: 'kernel settings, modules and firewalls (checks of `kube-ipvs doctor`)',
    check: settings,
  },
];

export const daemonChecks: readonly ReportCheck[] = [
  { id: 'health', title: 'whether the daemon follows the cluster and is in sync', check: health },
  { id: 'refused', title: 'objects that the kernel refused', check: refused },
  { id: 'events', title: 'Events of the Service', check: events },
];
