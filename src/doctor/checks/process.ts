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
import { advise, seeChecks } from '../remedy.js';

const configuration = ({ configuration: { files, settings, problems } }: Facts): CheckResult => {
  const name = files.length === 0 ? 'defaults, no --config' : files.join(', ');
  const remedy = advise(
    'Correct the configuration, then check it.',
    `kube-ipvs config validate ${files.join(' ')}`.trim(),
  );
  if (problems.length > 0) return fail(abbreviatedList(problems, 3), remedy);
  if (settings.warnings.length > 0) return warn(abbreviatedList(settings.warnings, 3), remedy);
  return pass(`valid (${name})`);
};

const capabilities = ({ process: fact }: Facts): CheckResult =>
  checkFact(fact, ({ processName, user, capabilities: held }) => {
    const text = `${processName} runs as user ${user}`;
    if (!held.includes('NET_ADMIN'))
      return fail(
        `${text} and lacks NET_ADMIN: it can neither read nor program IPVS, addresses, packet rules and conntrack`,
        advise('Run it as root.', 'sudo kube-ipvs doctor'),
        advise('In a container, set securityContext.capabilities.add: [NET_ADMIN].'),
      );
    return pass(`${text} and has NET_ADMIN`);
  });

const minimumOpenFiles = 1024;

const openFiles = ({ process: fact, services }: Facts): CheckResult =>
  checkFact(fact, ({ processName, openFiles: limit }) => {
    const ports = (valueOf(services) ?? []).filter(
      ({ healthCheckNodePort }) => healthCheckNodePort !== undefined,
    ).length;
    const recommended = minimumOpenFiles + 2 * ports;
    const text = `${processName} may open ${limit} files`;
    return limit < recommended
      ? warn(
          `${text}; ${recommended} are recommended`,
          advise(`Set LimitNOFILE=${recommended} in the systemd unit.`),
          advise('Or raise the limit of the shell that starts it.', `ulimit -n ${recommended}`),
        )
      : pass(text);
  });

const readLog = advise('Read the log of kube-ipvs.', 'kubectl -n kube-system logs -l k8s-app=kube-ipvs');

const startDaemon = [
  advise('Start kube-ipvs.'),
  advise('If it ended, read its last log.', 'kubectl -n kube-system logs -p -l k8s-app=kube-ipvs'),
] as const;

const noHealthResponse = (address: string, listening: Facts['listening']): string =>
  (valueOf(listening) ?? []).includes(Number(address.split(':').at(-1)))
    ? `a program listens on ${address}, but does not answer`
    : `cannot connect to ${address}: no process listens there`;

const health = ({ daemon, listening, configuration: { settings } }: Facts): CheckResult =>
  checkFact(daemon, ({ status, healthy, eligible }) => {
    const { healthzBindAddress } = settings.configuration;
    if (status === 200) return pass(`the health port ${healthzBindAddress} reports healthy`);
    if (status === 0) return fail(noHealthResponse(healthzBindAddress, listening), ...startDaemon);
    return eligible === false && healthy === true
      ? warn(
          `the health port ${healthzBindAddress} answers ${status}: the node is being removed`,
          advise('If the Node is not being removed, check its taints and its deletion timestamp.'),
        )
      : fail(`the health port ${healthzBindAddress} answers ${status}: not healthy`, readLog);
  });

const withMetrics = (
  { metrics }: Facts,
  check: (sample: (name: string) => number | undefined) => CheckResult,
): CheckResult =>
  checkFact(metrics, (samples) =>
    samples.has('kube_ipvs_virtual_servers')
      ? check((name) => samples.get(name))
      : unknown('the metrics port does not belong to kube-ipvs', seeChecks('two-proxies')),
  );

const sync = ({ status }: Facts): CheckResult =>
  checkFact(status, ({ synced, lastSync, source, uptimeSeconds }) => {
    if (source.trouble !== undefined)
      return fail(
        `kube-ipvs cannot follow ${source.name}: ${source.trouble}`,
        seeChecks('api-server', 'credential', 'rights'),
      );
    if (lastSync === undefined || !synced)
      return fail(
        `not synced ${formatCount(uptimeSeconds, 'second')} after start: ${source.name} has ${source.delivered ? 'delivered its objects' : 'not delivered its objects yet'}`,
        readLog,
      );
    const text = `the last sync was ${Math.round(lastSync.secondsAgo)} s ago and took ${lastSync.tookSeconds.toFixed(3)} s`;
    return lastSync.succeeded ? pass(text) : fail(`${text}; it failed`, readLog);
  });

/** By name if the daemon reports them, else by the counts of its metrics. */
const refusedOperations = (facts: Facts): CheckResult => {
  const status = valueOf(facts.status);
  if (status === undefined) return refusedByCount(facts);
  return status.refusedCount === 0
    ? pass('the kernel refuses no object')
    : fail(
        `the kernel refuses ${formatCount(status.refusedCount, 'object')}: ${abbreviatedList(status.refused.map(({ what, reason }) => `${what} (${reason})`))}`,
        readLog,
      );
};

const refusedByCount = (facts: Facts): CheckResult =>
  withMetrics(facts, (sample) => {
    const now = sample('kube_ipvs_refused_objects') ?? 0;
    const failures = sample('kube_ipvs_operation_failures_total') ?? 0;
    const text = `the kernel refuses ${formatCount(now, 'object')}; it has refused ${formatCount(failures, 'operation')} since the daemon started`;
    return now === 0 ? pass(text) : fail(text, readLog);
  });

const drift = (facts: Facts): CheckResult =>
  withMetrics(facts, (sample) => {
    const repaired = sample('kube_ipvs_drift_repaired_total') ?? 0;
    return repaired === 0
      ? pass('no other program has changed objects of kube-ipvs since the daemon started')
      : warn(
          `another program changed objects of kube-ipvs ${formatCount(repaired, 'time')} since the daemon started; the daemon repaired them`,
          advise('Find the program: another proxy, a script, or a firewall that flushes its rules.'),
          advise('Read in the log what was changed.', 'kubectl -n kube-system logs -l k8s-app=kube-ipvs'),
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
    if (watches.length === 0) return pass('the daemon reads files, or follows no resource yet');
    return lost.length === 0
      ? pass(`following: ${watches.map(({ resource }) => resource).join(', ')}`)
      : fail(`not following: ${lost.join(', ')}`, seeChecks('api-server', 'credential', 'rights'));
  });

export const processChecks = checksInGroup('process', [
  {
    id: 'configuration',
    title: 'the configuration',
    why: 'A misspelt field is ignored, and kube-ipvs uses the default instead.',
    run: configuration,
  },
  {
    id: 'capabilities',
    title: 'the user and capabilities of the daemon',
    why: 'Programming the kernel needs the capability NET_ADMIN.',
    run: capabilities,
  },
  {
    id: 'open-files',
    title: 'the limit of open files',
    why: 'Each health check port and each watch needs an open file; at the limit the daemon cannot open more.',
    run: openFiles,
  },
  {
    id: 'daemon',
    title: 'whether the daemon runs and is healthy',
    why: 'Without it the kernel keeps its last state: new pods get no connections, and removed pods still get them.',
    run: health,
  },
  {
    id: 'sync',
    title: 'the last sync of the daemon',
    why: 'Changes that were not synced are not in the kernel.',
    run: sync,
  },
  {
    id: 'watches',
    title: 'whether the daemon follows the API server',
    why: 'Changes of a resource that the daemon does not follow never reach the kernel.',
    run: watches,
  },
  {
    id: 'refused-operations',
    title: 'objects that the kernel refuses',
    why: 'The Service of a refused virtual server, address or rule is not served, or not fully.',
    run: refusedOperations,
  },
  {
    id: 'drift',
    title: 'changes by other programs',
    why: 'Until kube-ipvs repairs such a change, the Service does not work as requested.',
    run: drift,
  },
]);
