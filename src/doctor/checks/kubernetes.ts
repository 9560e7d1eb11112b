import { formatCount } from '../../base/text.js';
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

const apiNotNeeded = pass('no API server is needed: the Services come from files');

const reachability = ({ api }: Facts): CheckResult =>
  checkFact(api, (apiServer) => {
    if (apiServer === 'files') return apiNotNeeded;
    if (!apiServer.reached)
      return fail(
        `${apiServer.server} serves us nothing: ${apiServer.reason}`,
        `curl -k ${apiServer.server}/livez; then the address and the credential in the kubeconfig`,
      );
    const { server, version, milliseconds } = apiServer;
    const text = `${server} (${version}) answers in ${Math.round(milliseconds)} ms`;
    return milliseconds > 1000
      ? warn(
          text,
          'look at the load of the API server and the way to it: a change that comes late is programmed late',
        )
      : pass(text);
  });

const withApiServer = ({ api }: Facts, check: (answer: ApiFacts) => CheckResult): CheckResult => {
  if (!('value' in api)) return unknown('no API server was asked', 'see the check api-server');
  if (api.value === 'files') return apiNotNeeded;
  return api.value.reached
    ? check(api.value)
    : unknown('the API server serves us nothing', 'see the check api-server');
};

const clock = (facts: Facts): CheckResult =>
  withApiServer(facts, ({ clockAhead }) => {
    if (clockAhead === undefined) return pass('the API server says no time');
    if (clockAhead === 0) return pass('this clock agrees with that of the API server');
    const text = `this clock is ${Math.abs(clockAhead)} s ${clockAhead < 0 ? 'behind' : 'ahead of'} that of the API server`;
    return Math.abs(clockAhead) > 30
      ? fail(text, 'chronyc makestep, or timedatectl set-ntp true')
      : Math.abs(clockAhead) > 5
        ? warn(text, 'chronyc makestep, or timedatectl set-ntp true')
        : pass(text);
  });

const hour = 3_600_000;

const durationText = (milliseconds: number): string =>
  milliseconds >= 48 * hour
    ? `${Math.trunc(milliseconds / (24 * hour))} days`
    : `${(milliseconds / hour).toFixed(1)} hours`;

const credential = (facts: Facts): CheckResult =>
  withApiServer(facts, ({ credential: held }) => {
    if (held === undefined) return pass('the credential does not say when it ends');
    const remaining = held.ends - facts.now;
    const text = `the ${held.kind} ends ${new Date(held.ends).toISOString().slice(0, 16)}Z`;
    const remedy =
      held.kind === 'certificate'
        ? 'renew it: kubeadm certs renew all, or what made the kubeconfig'
        : 'use a kubeconfig with tokenFile: and a projected service account token, which is renewed';
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
      const remedy = 'kubectl apply -f deploy/base/rbac.yaml';
      // Events are for people; nothing is served otherwise without them.
      return missing.every(({ resource }) => resource.startsWith('events'))
        ? warn(text, remedy)
        : fail(text, remedy);
    }),
  );

const ownNode = (facts: Facts): CheckResult =>
  withApiServer(facts, ({ hasNode }) =>
    checkFact(hasNode, (found) => {
      const name = facts.configuration.settings.nodeName;
      return found
        ? pass(`there is a Node ${name}`)
        : fail(
            `there is no Node ${name}: zone, pod networks and primary addresses are unknown`,
            '--hostname-override=NAME with a name of: kubectl get nodes -o name',
          );
    }),
  );

/** Roughly what 10,000 Services with 100,000 endpoints take (deploy/base/daemonset.yaml), and what there is without any. */
const baseBytes = 70e6;
const serviceBytes = 10e3;

const memory = ({ memory: fact, services }: Facts): CheckResult =>
  checkFact(fact, ({ limit, used }) => {
    const number = valueOf(services)?.length;
    const required = baseBytes + (number ?? 0) * serviceBytes;
    const mega = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;
    if (limit === undefined) return pass(`no memory limit; ${mega(used)} are used`);
    const of = number === undefined ? 'however few Services there are' : formatCount(number, 'Service');
    const text = `${mega(used)} of ${mega(limit)} are used; for ${of} it takes about ${mega(required)}`;
    return limit < required * 1.25
      ? warn(text, `resources.limits.memory: ${Math.ceil((required * 1.5) / 1e6)}M, or no limit`)
      : pass(text);
  });

export const kubernetesChecks = checksInGroup('kubernetes', [
  {
    id: 'api-server',
    title: 'the API server',
    why: 'Services and endpoints come from it; what changes while it cannot be reached is not programmed.',
    run: reachability,
  },
  {
    id: 'clock',
    title: "this clock against the API server's",
    why: 'Certificates and tokens are judged by the clock, and so is what is old in an Event.',
    run: clock,
  },
  {
    id: 'credential',
    title: 'when our certificate or token ends',
    why: 'With an expired credential every watch ends, and no change arrives any more.',
    run: credential,
  },
  {
    id: 'rights',
    title: 'what the API server lets us do',
    why: 'A right that is missing is a resource that is not followed.',
    run: rights,
  },
  {
    id: 'node-object',
    title: 'the Node of our name',
    why: 'Topology, NodeCIDR and primary node port addresses are taken from it.',
    run: ownNode,
  },
  {
    id: 'memory',
    title: 'the memory limit against the number of Services',
    why: 'A daemon that is killed for its memory starts over and over, and programs nothing in between.',
    run: memory,
  },
]);
