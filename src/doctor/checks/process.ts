import { formatCount } from '../../base/text.js';
import { checksInGroup } from '../check.js';
import type { Facts } from '../facts.js';
import {
  fail,
  checkFact,
  pass,
  abbreviatedList,
  unknown,
  valueOf,
  warn,
  type CheckResult,
} from '../check-result.js';

const configuration = ({ configuration: { files, settings, problem } }: Facts): CheckResult => {
  const name = files.length === 0 ? 'no --config: the defaults' : files.join(', ');
  const check = `kube-ipvs config validate ${files.join(' ')}`.trim();
  if (problem !== undefined) return fail(problem.split('\n').join('; '), `mend it, then: ${check}`);
  if (settings.warnings.length > 0)
    return warn(abbreviatedList(settings.warnings, 3), `mend it, then: ${check}`);
  return pass(`valid (${name})`);
};

const asRoot =
  'run it as root (sudo kube-ipvs doctor), or in the container: securityContext.capabilities.add';

const capabilities = ({ process: fact }: Facts): CheckResult =>
  checkFact(fact, ({ processName: who, user, capabilities: held }) => {
    const text = `${who} is user ${user}`;
    if (!held.includes('NET_ADMIN'))
      return fail(
        `${text} and lacks NET_ADMIN: IPVS, addresses, packet rules and conntrack are not for it`,
        `${asRoot}: [NET_ADMIN]`,
      );
    return pass(`${text} and has NET_ADMIN`);
  });

const minimumOpenFiles = 1024;

const openFiles = ({ process: fact, services }: Facts): CheckResult =>
  checkFact(fact, ({ processName: who, openFiles: limit }) => {
    const ports = (valueOf(services) ?? []).filter(
      ({ healthCheckNodePort }) => healthCheckNodePort !== undefined,
    ).length;
    const recommended = minimumOpenFiles + 2 * ports;
    const text = `${who} may have ${limit} files open`;
    return limit < recommended
      ? warn(
          `${text}, and ${recommended} are prudent`,
          `ulimit -n ${recommended}, in a systemd unit LimitNOFILE=${recommended}`,
        )
      : pass(text);
  });

const health = ({ daemon, listening, configuration: { settings } }: Facts): CheckResult =>
  checkFact(daemon, ({ status, healthy, eligible }) => {
    const { healthzBindAddress } = settings.configuration;
    if (status === 200) return pass(`${healthzBindAddress} says: healthy`);
    const ports = valueOf(listening) ?? [];
    if (status === 0)
      return fail(
        `nobody answers at ${healthzBindAddress}${ports.includes(Number(healthzBindAddress.split(':').at(-1))) ? ', though a program listens there' : ''}`,
        'start kube-ipvs; its log says why it ended: kubectl -n kube-system logs -p -l k8s-app=kube-ipvs',
      );
    return eligible === false && healthy === true
      ? warn(
          `${healthzBindAddress} answers ${status}: the node is leaving`,
          'nothing, if the Node is being removed',
        )
      : fail(
          `${healthzBindAddress} answers ${status}: not healthy`,
          'kubectl -n kube-system logs -l k8s-app=kube-ipvs says what fails',
        );
  });

const withMetrics = (
  { metrics }: Facts,
  check: (sample: (name: string) => number | undefined) => CheckResult,
): CheckResult =>
  checkFact(metrics, (samples) =>
    samples.has('kube_ipvs_virtual_servers')
      ? check((name) => samples.get(name))
      : unknown('the metrics port is not that of kube-ipvs', 'see the check two-proxies'),
  );

const logRemedy = 'kubectl -n kube-system logs -l k8s-app=kube-ipvs';

const sync = ({ status }: Facts): CheckResult =>
  checkFact(status, ({ synced, lastSync, source, uptimeSeconds }) => {
    if (source.trouble !== undefined)
      return fail(
        `it does not follow ${source.name}: ${source.trouble}`,
        'see the checks api-server, credential and rights',
      );
    if (lastSync === undefined || !synced)
      return fail(
        `not synced ${formatCount(uptimeSeconds, 'second')} after the start: ${source.name} ${source.delivered ? 'has told all' : 'has not told all yet'}`,
        logRemedy,
      );
    const text = `the last sync was ${Math.round(lastSync.secondsAgo)} s ago and took ${lastSync.tookSeconds.toFixed(3)} s`;
    return lastSync.succeeded ? pass(text) : fail(`${text}; it broke`, logRemedy);
  });

/** By name where the daemon tells them, else how many the metrics count. */
const refusedOperations = (facts: Facts): CheckResult => {
  const status = valueOf(facts.status);
  if (status === undefined) return refusedByCount(facts);
  return status.refusedCount === 0
    ? pass('the kernel refuses nothing')
    : fail(
        `${formatCount(status.refusedCount, 'object')}: ${abbreviatedList(status.refused.map(({ what, reason }) => `${what} (${reason})`))}`,
        logRemedy,
      );
};

const refusedByCount = (facts: Facts): CheckResult =>
  withMetrics(facts, (sample) => {
    const now = sample('kube_ipvs_refused_objects') ?? 0;
    const failures = sample('kube_ipvs_operation_failures_total') ?? 0;
    const text = `the kernel refuses ${now} objects now and refused ${failures} operations since the start`;
    return now === 0 ? pass(text) : fail(text, logRemedy);
  });

const drift = (facts: Facts): CheckResult =>
  withMetrics(facts, (sample) => {
    const repaired = sample('kube_ipvs_drift_repaired_total') ?? 0;
    return repaired === 0
      ? pass('nobody changed what is ours since the start')
      : warn(
          `somebody changed what is ours ${repaired} times since the start; it was put right`,
          'find who does: another proxy, a script, a firewall that flushes; the log says what was changed',
        );
  });

const watches = (facts: Facts): CheckResult =>
  withMetrics(facts, (sample) => {
    const resources = ['services', 'endpointslices', 'nodes'];
    const watches = resources.flatMap((resource) => {
      const value = sample(`kube_ipvs_watch_following{resource="${resource}"}`);
      return value === undefined ? [] : [{ resource, value }];
    });
    const lost = watches.filter(({ value }) => value === 0).map(({ resource }) => resource);
    if (watches.length === 0) return pass('the daemon follows files, or nothing yet');
    return lost.length === 0
      ? pass(`followed: ${watches.map(({ resource }) => resource).join(', ')}`)
      : fail(`not followed: ${lost.join(', ')}`, 'see the checks api-server, credential and rights');
  });

export const processChecks = checksInGroup('process', [
  {
    id: 'configuration',
    title: 'the configuration',
    why: 'A field that is misspelt is ignored, and the daemon does something else than was meant.',
    run: configuration,
  },
  {
    id: 'capabilities',
    title: 'user and capabilities',
    why: 'NET_ADMIN is needed for everything that is programmed.',
    run: capabilities,
  },
  {
    id: 'open-files',
    title: 'how many files may be open',
    why: 'Each health check port and each watch is an open file; without one left nothing new is served.',
    run: openFiles,
  },
  {
    id: 'daemon',
    title: 'whether the daemon runs and is healthy',
    why: 'Without it the kernel goes on with what it knows, and pods that come and go are not seen.',
    run: health,
  },
  {
    id: 'sync',
    title: 'the last sync of the daemon',
    why: 'What was not synced is not served, or as it was before.',
    run: sync,
  },
  {
    id: 'watches',
    title: 'whether the daemon follows the API server',
    why: 'A resource that is not followed changes without being programmed.',
    run: watches,
  },
  {
    id: 'refused-operations',
    title: 'what the kernel refuses',
    why: 'A virtual server, address or rule that is refused is a Service that is not served, or not as it should be.',
    run: refusedOperations,
  },
  {
    id: 'drift',
    title: 'what somebody else changed',
    why: 'Each repair is a moment in which a Service was not as it should be.',
    run: drift,
  },
]);
