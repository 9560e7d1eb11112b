import { formatDuration } from '../../base/duration.js';
import { isExpectedError, messageOf } from '../../base/errors.js';
import { formatCount } from '../../base/text.js';
import { advise } from '../../doctor/remedy.js';
import type {
  MigrationEnd,
  MigrationNode,
  MigrationTimes,
  RemovalOutcome,
  StepListener,
} from './migration.js';
import { missingForKubeIpvsEnd, missingForKubeProxy } from './node-state.js';
import type { Probe } from './probe.js';
import { failedText, requestsOf, targetsText, waitForState, watchRequests } from './wait-for.js';

interface Return {
  readonly node: MigrationNode;
  readonly times: Pick<MigrationTimes, 'timeout' | 'drain'>;
  readonly report: StepListener;
}

const returned: MigrationEnd = { result: 'returned', reason: undefined, remedies: [] };

const endOf = ({ remaining }: RemovalOutcome): MigrationEnd =>
  remaining === 0
    ? returned
    : {
        result: 'incomplete',
        reason: `${formatCount(remaining, 'object')} of kube-ipvs could not be removed`,
        remedies: [advise('See what is left.', 'kube-ipvs cleanup --dry-run')],
      };

const drainInterval = 500;

/** Waits until no connection goes through IPVS; resolves to the number of those that are left. */
const drainConnections = async ({ node, times }: Return, signal: AbortSignal): Promise<number> => {
  for (let waited = 0; ; waited += drainInterval) {
    const active = await node.activeConnections();
    if (active === 0 || waited >= times.drain) return active;
    await node.delay(drainInterval, signal);
  }
};

/** kube-proxy has rules for every connection: what kube-ipvs made is removed once no connection needs it. */
const removeWhenIdle = async (run: Return, signal: AbortSignal): Promise<MigrationEnd> => {
  const { node, times, report } = run;
  await node.releaseConnections();
  report('release', 'new connections go to the rules of kube-proxy');
  const active = await drainConnections(run, signal);
  if (active > 0)
    return {
      result: 'incomplete',
      reason: `${formatCount(active, 'connection')} through IPVS did not end within ${formatDuration(times.drain)}`,
      remedies: [advise('End them when you can do without them.', 'kube-ipvs cleanup')],
    };
  const outcome = await node.removeKubeIpvs();
  report('clean', `removed ${formatCount(outcome.removed, 'object')} of kube-ipvs`);
  return endOf(outcome);
};

/**
 * Switches to kube-proxy, waits until it serves alone, then removes what would keep it from serving. Rejects with a StepFailedError
 * if kube-proxy does not serve in time, and if the switch fails.
 */
export const returnToKubeProxy = async (run: Return, signal: AbortSignal): Promise<MigrationEnd> => {
  const { node, times, report } = run;
  const { timeout } = times;
  await node.proxySwitch.toKubeProxy(async () => {
    await waitForState(node, { missing: missingForKubeIpvsEnd, timeout, signal });
  });
  report('switch', node.proxySwitch.done.toKubeProxy);
  const { kubeProxyRules: mode } = await waitForState(node, {
    missing: missingForKubeProxy,
    timeout,
    signal,
  });
  report('serve', `kube-proxy serves alone in mode ${mode ?? '?'}`);
  if (mode !== 'ipvs') return removeWhenIdle(run, signal);
  const outcome = await node.removePacketRules();
  report(
    'clean',
    `removed ${formatCount(outcome.removed, 'object')} of kube-ipvs; kube-proxy uses its virtual servers`,
  );
  return endOf(outcome);
};

/** Returns a node from kube-ipvs to kube-proxy while a probe counts requests. */
export const goBack = async (
  run: Return & { readonly times: MigrationTimes; readonly interrupted: AbortSignal },
  startProbe: () => Promise<Probe>,
): Promise<MigrationEnd> => {
  const { node, times, report, interrupted } = run;
  await using probe = await startProbe();
  report('probe', targetsText(probe));
  try {
    const end = await returnToKubeProxy(run, interrupted);
    report('watch', await watchRequests(node, probe, { milliseconds: times.observe, signal: interrupted }));
    const { failed } = requestsOf(probe);
    if (failed === 0) return end;
    return {
      ...end,
      result: 'incomplete',
      reason: failedText(probe),
    };
  } catch (error) {
    if (!interrupted.aborted && !isExpectedError(error)) throw error;
    const reason = interrupted.aborted ? 'the command was interrupted' : messageOf(error);
    return {
      result: 'failed',
      reason,
      remedies: [advise('Start kube-proxy on this node, then:', 'kube-ipvs migrate back')],
    };
  }
};
