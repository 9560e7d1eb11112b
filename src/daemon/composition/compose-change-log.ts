import type { ChangeRecorder } from '../../apply/change-recorder.js';
import type { EngineState } from '../../apply/state/engine-state.js';
import { version } from '../../base/version.js';
import { settingsChange } from '../../config/settings-change.js';
import type { DesiredState } from '../../plan/desired-state.js';
import type { LiveSettings } from '../config/live-settings.js';
import { ChangeCauses } from '../history/change-causes.js';
import { ChangeLog } from '../history/change-log.js';
import type { Metrics } from '../metrics/registry.js';

/** What the daemon changes in the kernel, and why. */
export interface ChangeHistory {
  readonly causes: ChangeCauses;
  readonly changeLog: ChangeLog;
  /** What the reconciler reports its work to. */
  readonly recorder: ChangeRecorder;
}

export interface ChangeHistoryParts {
  readonly desired: DesiredState;
  readonly observed: EngineState;
  readonly settings: LiveSettings;
  readonly metrics: Pick<Metrics, 'drained'>;
}

/** The log of changes begins with the start of the daemon, and follows the settings. */
export const composeChangeLog = ({
  desired,
  observed,
  settings,
  metrics,
}: ChangeHistoryParts): ChangeHistory => {
  const causes = new ChangeCauses(desired);
  const changeLog = new ChangeLog({
    causes,
    observed,
    endpointOf: (of, realServer) => desired.endpointOf(of, realServer),
  });
  changeLog.note({ event: 'started', details: [`v${version}`] });
  settings.onChange((now, before) =>
    changeLog.note({ event: 'settings-changed', details: settingsChange(before, now).changed }),
  );
  const { began, applied, refused, ended } = changeLog;
  const drain: ChangeRecorder['drain'] = (event) => {
    changeLog.drain(event);
    metrics.drained(event);
  };
  return { causes, changeLog, recorder: { began, applied, refused, drain, ended } };
};
