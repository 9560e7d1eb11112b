import { isExpectedError, messageOf } from '../../base/errors.js';
import { formatCount } from '../../base/text.js';
import { advise } from '../../doctor/remedy.js';
import { returnToKubeProxy } from './go-back.js';
import {
  type MigrationEnd,
  type MigrationNode,
  type MigrationTimes,
  type RemovalOutcome,
  type StepListener,
} from './migration.js';
import { missingForKubeIpvs, missingForKubeProxyEnd } from './node-state.js';
import type { Probe } from './probe.js';
import { failedText, requestsOf, targetsText, waitForState, watchRequests } from './wait-for.js';

export interface MigrationRun {
  readonly node: MigrationNode;
  readonly times: MigrationTimes;
  readonly report: StepListener;
  /** Aborted when the operator interrupts the command. */
  readonly interrupted: AbortSignal;
}

const unchanged = (reason: string, ...remedies: MigrationEnd['remedies']): MigrationEnd => ({
  result: 'unchanged',
  reason,
  remedies,
});

/** Why a step ended early: a failed request and an interruption come as an aborted signal. */
const reasonOf = (
  error: unknown,
  { probe, run }: { readonly probe: Probe; readonly run: MigrationRun },
): string => {
  if (probe.exceeded.aborted) return failedText(probe);
  if (run.interrupted.aborted) return 'the command was interrupted';
  if (isExpectedError(error)) return messageOf(error);
  throw error;
};

/** The steps from the switch on. Rejects if one fails, if too many requests fail, or if the operator interrupts. */
const changeProxy = async (run: MigrationRun, probe: Probe, signal: AbortSignal): Promise<RemovalOutcome> => {
  const { node, times, report } = run;
  const watch = async (): Promise<void> =>
    report('watch', await watchRequests(node, probe, { milliseconds: times.observe, signal }));
  await node.proxySwitch.toKubeIpvs(async () => {
    await waitForState(node, { missing: missingForKubeProxyEnd, timeout: times.timeout, signal });
  });
  report('switch', node.proxySwitch.done.toKubeIpvs);
  const { kubeIpvs } = await waitForState(node, {
    missing: missingForKubeIpvs,
    timeout: times.timeout,
    signal,
  });
  report('serve', `kube-ipvs (process ${kubeIpvs?.pid ?? '?'}) has synced and serves alone`);
  await watch();
  const outcome = await node.removeKubeProxy();
  report('clean', `removed ${formatCount(outcome.removed, 'object')} that kube-proxy left`);
  await watch();
  return outcome;
};

const rollBack = async (run: MigrationRun, reason: string): Promise<MigrationEnd> => {
  run.report('fail', reason);
  try {
    // The return is not interrupted: a node between two proxies is the worse end.
    const end = await returnToKubeProxy(run, new AbortController().signal);
    return { ...end, result: 'rolled-back', reason };
  } catch (error) {
    if (!isExpectedError(error)) throw error;
    const remedy = advise('Start kube-proxy on this node, then:', 'kube-ipvs migrate back');
    return {
      result: 'failed',
      reason: `${reason}; the roll back failed too: ${messageOf(error)}`,
      remedies: [remedy],
    };
  }
};

const endOf = ({ remaining }: RemovalOutcome): MigrationEnd =>
  remaining === 0
    ? { result: 'migrated', reason: undefined, remedies: [] }
    : {
        result: 'incomplete',
        reason: `${formatCount(remaining, 'object')} of kube-proxy could not be removed`,
        remedies: [
          advise(
            'Run the commands of this list as root on the node.',
            'kube-ipvs cleanup --kube-proxy --dry-run',
          ),
        ],
      };

/** Why the change of the proxy would be refused. */
const rehearsal = async ({ proxySwitch }: MigrationNode): Promise<string | undefined> => {
  try {
    await proxySwitch.rehearse();
    return undefined;
  } catch (error) {
    if (!isExpectedError(error)) throw error;
    return messageOf(error);
  }
};

/** Requests before the change: the reason if one of them failed. */
const probeBefore = async (
  run: MigrationRun,
  probe: Probe,
  signal: AbortSignal,
): Promise<string | undefined> => {
  const { node, times, report } = run;
  try {
    report('before', await watchRequests(node, probe, { milliseconds: times.before, signal }));
    return requestsOf(probe).failed === 0 ? undefined : failedText(probe);
  } catch (error) {
    return reasonOf(error, { probe, run });
  }
};

/**
 * Takes a node from kube-proxy to kube-ipvs while a probe sends requests. Returns to kube-proxy if more of them fail than are
 * allowed, if a step fails or takes too long, and if the operator interrupts.
 */
export const takeOver = async (
  run: MigrationRun,
  startProbe: () => Promise<Probe>,
): Promise<MigrationEnd> => {
  const { node, report } = run;
  const failed = await node.failedChecks();
  if (failed.length > 0)
    return unchanged(failed.join('; '), advise('See all checks.', 'kube-ipvs migrate check'));
  report('check', 'no check fails');
  const refusal = await rehearsal(node);
  if (refusal !== undefined) return unchanged(refusal);
  await using probe = await startProbe();
  if (probe.counts.length === 0)
    return unchanged(
      'no Service answers on its cluster IP',
      advise('Name a target with --probe=http://ADDRESS/.'),
    );
  report('probe', targetsText(probe));
  const signal = AbortSignal.any([probe.exceeded, run.interrupted]);
  const problem = await probeBefore(run, probe, signal);
  if (problem !== undefined) return unchanged(`before the change: ${problem}`);
  try {
    return endOf(await changeProxy(run, probe, signal));
  } catch (error) {
    return await rollBack(run, reasonOf(error, { probe, run }));
  }
};
