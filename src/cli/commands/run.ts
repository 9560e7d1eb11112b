import { version } from '../../base/version.js';
import { flagIsSet, parseFlags } from '../../config/flags.js';
import { exitStatus } from '../command.js';

/** Prints the help of the daemon, which is that of the whole program. */
export const printDaemonHelp = async (): Promise<number> => {
  const { daemonHelp } = await import('../daemon-help.js');
  const { commands } = await import('../registry.js');
  process.stdout.write(daemonHelp(commands));
  return exitStatus.done;
};

/** The daemon; its flags are kube-proxy's, read as kube-proxy reads them. */
export const runDaemonCommand = async (argv: readonly string[]): Promise<number> => {
  const flags = parseFlags(argv);
  if (flagIsSet(flags, 'help')) return printDaemonHelp();
  if (flagIsSet(flags, 'version')) {
    process.stdout.write(`kube-ipvs v${version}\n`);
    return exitStatus.done;
  }
  const { loadSettings } = await import('../../config/load-settings.js');
  const settings = loadSettings(flags);
  if (settings.writeConfigTo !== undefined) {
    const { writeConfig } = await import('../config.js');
    return writeConfig(settings, settings.writeConfigTo);
  }
  if (flagIsSet(flags, 'cleanup')) {
    const { cleanup } = await import('../cleanup.js');
    return cleanup(settings);
  }
  const { run } = await import('../run.js');
  return run(settings, () => loadSettings(flags));
};
