import type { Logger } from '../base/log.js';
import {
  parameterText,
  readKernelParameter,
  writeKernelParameter,
  type KernelParameter,
} from '../kernel/sysctl.js';

const oomScoreAdj: KernelParameter = { name: 'oom_score_adj', file: '/proc/self/oom_score_adj' };

/** Sets how early the kernel kills this process when memory is short. A refusal is only logged. */
export const setOomScore = (score: number, log: Logger): void => {
  const before = readKernelParameter(oomScoreAdj);
  if (before === score) return;
  const reason = writeKernelParameter(oomScoreAdj, score);
  if (reason === undefined) log.info({ event: 'oom-score-set', oomScoreAdj: score, before }, 'OOM score set');
  else
    log.info(
      {
        event: 'oom-score-refused',
        oomScoreAdj: score,
        now: before,
        reason,
        remedy: `Add the capability SYS_RESOURCE, or set oomScoreAdj: ${parameterText(before)} in the configuration.`,
      },
      'OOM score not set',
    );
};
