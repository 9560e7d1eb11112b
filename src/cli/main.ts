import { basename } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { InputError, messageOf } from '../base/errors.js';
import { version } from '../base/version.js';

/** 0: done. 1: an error, told on standard error. 2: called wrongly. */
const exitStatus = { done: 0, error: 1, usage: 2 } as const;

const runDaemonCommand = async (argv: readonly string[]): Promise<number> => {
  const { flagIsSet, parseFlags } = await import('../config/flags.js');
  const flags = parseFlags(argv);
  if (flagIsSet(flags, 'help')) {
    const { daemonHelp } = await import('./daemon-help.js');
    process.stdout.write(daemonHelp());
    return exitStatus.done;
  }
  if (flags.has('version')) {
    process.stdout.write(`kube-ipvs v${version}\n`);
    return exitStatus.done;
  }
  const { loadSettings } = await import('./load-settings.js');
  const { run } = await import('./run.js');
  return run(loadSettings(flags));
};

const program = (finish: (status: number) => void): Command => {
  const root = new Command('kube-ipvs').exitOverride().helpCommand(false).helpOption(false);
  root
    .command('dump')
    .addOption(new Option('-o, --output <format>'))
    .action(() => finish(exitStatus.error));
  return root;
};

/** Whether the words call the daemon: called as kube-proxy, `run`, flags only, or nothing at all. */
const callsDaemon = (calledAs: string, argv: readonly string[]): boolean =>
  calledAs === 'kube-proxy' || argv[0] === undefined || argv[0] === 'run' || argv[0].startsWith('-');

const main = async (calledAs: string, argv: readonly string[]): Promise<number> => {
  if (callsDaemon(calledAs, argv))
    return runDaemonCommand(argv[0] === 'run' && calledAs !== 'kube-proxy' ? argv.slice(1) : argv);
  let status: number = exitStatus.done;
  await program((result) => {
    status = result;
  }).parseAsync(argv, { from: 'user' });
  return status;
};

try {
  process.exitCode = await main(basename(process.argv[1] ?? ''), process.argv.slice(2));
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : exitStatus.usage;
  else {
    process.stderr.write(`kube-ipvs: ${messageOf(error)}\n`);
    process.exitCode =
      error instanceof InputError && error.name === 'UsageError' ? exitStatus.usage : exitStatus.error;
  }
}
