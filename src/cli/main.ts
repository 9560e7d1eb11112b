#!/usr/bin/env node
import { basename } from 'node:path';
import { messageOf } from '../base/errors.js';
import { UsageError } from '../config/flags.js';
import { exitStatus } from './command.js';
import { printDaemonHelp, runDaemonCommand } from './commands/run.js';
import { outputFailed, tell } from './write-out.js';

/** Whether the words call the daemon: called as kube-proxy, `run`, flags only, or nothing at all. */
const callsDaemon = (calledAs: string, argv: readonly string[]): boolean =>
  calledAs === 'kube-proxy' || argv[0] === undefined || argv[0] === 'run' || argv[0].startsWith('-');

// Every command's code is imported when the command is called: none pays for another, and only the daemon's loads the
// Kubernetes client.
const main = async (calledAs: string, argv: readonly string[]): Promise<number> => {
  if (argv.length === 2 && argv[0] === 'run' && argv[1] === 'help') return printDaemonHelp();
  if (callsDaemon(calledAs, argv))
    return runDaemonCommand(argv[0] === 'run' && calledAs !== 'kube-proxy' ? argv.slice(1) : argv);
  if (argv[0] === 'help' && (argv[1] === undefined || argv[1] === 'run')) return printDaemonHelp();
  const { commands } = await import('./registry.js');
  if (argv[0] === '__complete') {
    const { answerShell } = await import('./completion/answer.js');
    const { findTargets } = await import('./completion/targets.js');
    const answer = await answerShell(commands, argv.slice(1), findTargets);
    // What was not found in time may still be looked for: nobody waits for that.
    process.stdout.write(answer, () => process.exit(exitStatus.done));
    return exitStatus.done;
  }
  const { callCommand } = await import('./program.js');
  return callCommand(commands, argv);
};

process.stdout.on('error', outputFailed);
process.stderr.on('error', outputFailed);

try {
  process.exitCode = await main(basename(process.argv[1] ?? ''), process.argv.slice(2));
} catch (error) {
  tell(messageOf(error));
  process.exitCode = error instanceof UsageError ? exitStatus.usage : exitStatus.error;
}
