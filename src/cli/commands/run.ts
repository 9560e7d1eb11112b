import { version } from '../../base/version.js';
import { flagIsSet, parseFlags } from '../../config/parse-flags.js';
import { exitStatus } from '../framework/command.js';

/** Prints the help of the daemon and of the whole program. */
export const printDaemonHelp = async (): Promise<number> => {
  const { daemonHelp } = await import('../help/daemon-help.js');
  const { commands } = await import('./registry.js');
  process.stdout.write(daemonHelp(commands));
  return exitStatus.success;
};

/** Runs the daemon. It parses its flags as kube-proxy does. */
export const runDaemonCommand = async (argv: readonly string[]): Promise<number> => {
  const flags = parseFlags(argv);
  if (flagIsSet(flags, 'help')) return printDaemonHelp();
  if (flagIsSet(flags, 'version')) {
    process.stdout.write(`kube-ipvs v${version}\n`);
    return exitStatus.success;
  }
  const { loadSettings } = await import('../../config/load-settings.js');
  const settings = loadSettings(flags);
  if (settings.writeConfigTo !== undefined) {
    const { writeConfig } = await import('../config/config.js');
    return writeConfig(settings, settings.writeConfigTo);
  }
  if (flagIsSet(flags, 'cleanup')) {
    const { cleanup } = await import('../cleanup/cleanup.js');
    return cleanup(settings);
  }
  const { startDaemon } = await import('../start-daemon.js');
  return startDaemon(settings, () => loadSettings(flags));
};
