import { formatCount } from '../../base/text.js';
import { chosenWeightBy, needsPods } from '../../model/settings/weight-by.js';
import { checksInGroup } from '../check.js';
import type { ApiFacts, Facts } from '../facts.js';
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

const apiNotNeeded = pass('the Services come from files: no API server is needed');

const reachability = ({ api }: Facts): CheckResult =>
  checkFact(api, (apiServer) => {
    if (apiServer === 'files') return apiNotNeeded;
    if (!apiServer.reached)
      return fail(
        `cannot use the API server ${apiServer.server}: ${apiServer.reason}`,
        advise('Check that the API server answers.', `curl -k ${apiServer.server}/livez`),
        advise('Check the address and the credential in the kubeconfig.'),
      );
    const { server, version, milliseconds } = apiServer;
    const text = `${server} (${version}) answers in ${Math.round(milliseconds)} ms`;
    return milliseconds > 1000
      ? warn(
          text,
          advise('Check the load of the API server and the network to it: kube-ipvs sees changes late.'),
        )
      : pass(text);
  });

export const withApiServer = ({ api }: Facts, check: (answer: ApiFacts) => CheckResult): CheckResult => {
  if (!('value' in api)) return unknown('no API server was queried', seeChecks('api-server'));
  if (api.value === 'files') return apiNotNeeded;
  return api.value.reached
    ? check(api.value)
    : unknown('the API server cannot be used', seeChecks('api-server'));
};

const setClock = [
  advise('Turn on time synchronization.', 'timedatectl set-ntp true'),
  advise('Where chrony runs, set the clock at once.', 'chronyc makestep'),
] as const;

const clock = (facts: Facts): CheckResult =>
  withApiServer(facts, ({ clockAhead }) => {
    if (clockAhead === undefined) return pass('the API server reports no time');
    if (clockAhead === 0) return pass('the clocks of this node and of the API server agree');
    const text = `the clock of this node is ${Math.abs(clockAhead)} s ${clockAhead < 0 ? 'behind' : 'ahead of'} that of the API server`;
    return Math.abs(clockAhead) > 30
      ? fail(text, ...setClock)
      : Math.abs(clockAhead) > 5
        ? warn(text, ...setClock)
        : pass(text);
  });

const hour = 3_600_000;

const durationText = (milliseconds: number): string =>
  milliseconds >= 48 * hour
    ? `${Math.trunc(milliseconds / (24 * hour))} days`
    : `${(milliseconds / hour).toFixed(1)} hours`;

const credential = (facts: Facts): CheckResult =>
  withApiServer(facts, ({ credential: held }) => {
    if (held === undefined) return pass('the credential has no expiry time');
    const remaining = held.ends - facts.now;
    const text = `the ${held.kind} ${remaining <= 0 ? 'expired' : 'expires'} at ${new Date(held.ends).toISOString().slice(0, 16)}Z`;
    const remedy =
      held.kind === 'certificate'
        ? advise('Renew the certificate. In a cluster of kubeadm:', 'kubeadm certs renew all')
        : advise('Use a kubeconfig with tokenFile and a projected service account token, which is renewed.');
    if (remaining <= 0) return fail(`${text}, ${durationText(-remaining)} ago`, remedy);
    const isShort = held.kind === 'certificate' && remaining < 7 * 24 * hour;
    return isShort
      ? warn(`${text}, in ${durationText(remaining)}`, remedy)
      : pass(`${text}, in ${durationText(remaining)}`);
  });

const rights = (facts: Facts): CheckResult =>
  withApiServer(facts, ({ permissions: fact }) =>
    checkFact(fact, (all) => {
      const missing = all.filter(({ allowed }) => !allowed);
      if (missing.length === 0)
        return pass(`allowed: ${all.map(({ verb, resource }) => `${verb} ${resource}`).join(', ')}`);
      const text = `not allowed: ${abbreviatedList(
        missing.map(({ verb, resource }) => `${verb} ${resource}`),
        8,
      )}`;
      const remedy = advise('Apply the RBAC rules of kube-ipvs.', 'kubectl apply -f deploy/base/rbac.yaml');
      // Without Events, Services are served all the same.
      return missing.every(({ resource }) => resource.startsWith('events'))
        ? warn(text, remedy)
        : fail(text, remedy);
    }),
  );

/** What asks for weights from pods; undefined: nothing does. */
const weightsFromPods = ({ configuration, services }: Facts): string | undefined => {
  const { weightBy } = configuration.settings;
  const asking = (valueOf(services) ?? []).filter((service) =>
    needsPods(chosenWeightBy(service) ?? weightBy),
  );
  const names = asking.map(({ key }) => `Service ${key}`);
  if (needsPods(weightBy)) return `weights.by: ${weightBy} in the configuration`;
  return names.length === 0 ? undefined : abbreviatedList(names, 3);
};

const readPods = (facts: Facts): CheckResult =>
  withApiServer(facts, ({ podPermissions: fact }) => {
    const asking = weightsFromPods(facts);
    if (asking === undefined)
      return 'value' in facts.services
        ? pass('not needed: no Service takes weights from pods')
        : unknown('the Services are not known', seeChecks('api-server', 'rights'));
    return checkFact(fact, (all) => {
      const missing = all
        .filter(({ allowed }) => !allowed)
        .map(({ verb, resource }) => `${verb} ${resource}`);
      if (missing.length === 0) return pass(`allowed, for ${asking}`);
      return warn(
        `not allowed: ${missing.join(', ')}; all weights stay equal, despite ${asking}`,
        advise('With the Helm chart, set `rbac.readPods: true` in its values.'),
        advise(
          'With other manifests, create a ClusterRole for it:',
          'kubectl create clusterrole kube-ipvs-read-pods --verb=list,watch --resource=pods',
        ),
        advise(
          'Bind it to the service account of kube-ipvs:',
          'kubectl create clusterrolebinding kube-ipvs-read-pods --clusterrole=kube-ipvs-read-pods --serviceaccount=kube-system:kube-ipvs',
        ),
      );
    });
  });

const ownNode = (facts: Facts): CheckResult =>
  withApiServer(facts, ({ hasNode }) =>
    checkFact(hasNode, (found) => {
      const name = facts.configuration.settings.nodeName;
      return found
        ? pass(`the Node ${name} exists`)
        : fail(
            `the Node ${name} does not exist: its zone, pod networks and primary addresses are unknown`,
            advise('Set --hostname-override to the name of an existing Node:', 'kubectl get nodes -o name'),
          );
    }),
  );

/** Memory without any Service, and for each Service: measured with 10,000 Services and 100,000 endpoints (deploy/base/daemonset.yaml). */
const baseBytes = 70e6;
const serviceBytes = 10e3;

const memory = ({ memory: fact, services }: Facts): CheckResult =>
  checkFact(fact, ({ limit, used }) => {
    const number = valueOf(services)?.length;
    const required = baseBytes + (number ?? 0) * serviceBytes;
    const mega = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;
    if (limit === undefined) return pass(`no memory limit; the daemon uses ${mega(used)}`);
    const load = number === undefined ? 'without Services' : `with ${formatCount(number, 'Service')}`;
    const text = `the daemon uses ${mega(used)} of ${mega(limit)}; ${load} it needs about ${mega(required)}`;
    return limit < required * 1.25
      ? warn(
          text,
          advise(
            `Set resources.limits.memory: ${Math.ceil((required * 1.5) / 1e6)}M for the container, or remove the limit.`,
          ),
        )
      : pass(text);
  });

export const kubernetesChecks = checksInGroup('kubernetes', [
  {
    id: 'api-server',
    title: 'the API server',
    why: 'It delivers Services and endpoints: while it cannot be reached, kube-ipvs programs no changes.',
    run: reachability,
  },
  {
    id: 'clock',
    title: 'the clock of this node against that of the API server',
    why: 'The clock decides whether certificates and tokens are valid, and how old an Event is.',
    run: clock,
  },
  {
    id: 'credential',
    title: 'when the certificate or token of kube-ipvs expires',
    why: 'With an expired credential every watch ends, and kube-ipvs sees no more changes.',
    run: credential,
  },
  {
    id: 'rights',
    title: 'the permissions of kube-ipvs at the API server',
    why: 'A missing permission keeps kube-ipvs from following that resource.',
    run: rights,
  },
  {
    id: 'read-pods',
    title: 'the permission to read pods, if weights come from pods',
    why: 'Without it, `weight-by: pod` and `weight-by: cpu-request` have no effect: all endpoints weigh the same.',
    run: readPods,
  },
  {
    id: 'node-object',
    title: 'the Node object of this node',
    why: 'It holds the zone, the pod CIDR (NodeCIDR) and the primary addresses for node ports.',
    run: ownNode,
  },
  {
    id: 'memory',
    title: 'the memory limit against the number of Services',
    why: 'A daemon that the kernel kills for lack of memory restarts again and again, and programs nothing in between.',
    run: memory,
  },
]);
