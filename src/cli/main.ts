#!/usr/bin/env node
import { basename } from 'node:path';
import { messageOf } from '../base/errors.js';
import { UsageError } from '../config/parse-flags.js';
import { exitStatus } from './framework/command.js';
import { printDaemonHelp, runDaemonCommand } from './commands/run.js';
import { handleOutputError, printDiagnostic } from './output/standard-output.js';

/** The daemon runs if the program is called as kube-proxy, with `run`, with flags only, or without arguments. */
const isDaemonInvocation = (calledAs: string, argv: readonly string[]): boolean =>
  calledAs === 'kube-proxy' || argv[0] === undefined || argv[0] === 'run' || argv[0].startsWith('-');

/** kubectl finds a plugin by the name of its file: `kubectl kube-ipvs`. */
const isPluginInvocation = (calledAs: string): boolean => /^kubectl-kube_ipvs(\.js)?$/.test(calledAs);

// Each command imports its own code when it runs; only the daemon loads the Kubernetes client.
const main = async (calledAs: string, argv: readonly string[]): Promise<number> => {
  if (isPluginInvocation(calledAs)) {
    const { runPlugin } = await import('./fleet/run-plugin.js');
    return runPlugin(argv);
  }
  if (argv.length === 2 && argv[0] === 'run' && argv[1] === 'help') return printDaemonHelp();
  if (isDaemonInvocation(calledAs, argv))
    return runDaemonCommand(argv[0] === 'run' && calledAs !== 'kube-proxy' ? argv.slice(1) : argv);
  if (argv[0] === 'help' && (argv[1] === undefined || argv[1] === 'run')) return printDaemonHelp();
  const { commands } = await import('./commands/registry.js');
  if (argv[0] === '__complete') {
    const { completeForShell } = await import('./completion/complete-for-shell.js');
    const { findTargets } = await import('./completion/find-targets.js');
    const completions = await completeForShell(commands, argv.slice(1), findTargets);
    // A lookup that missed its timeout may still be running: exit without it.
    process.stdout.write(completions, () => process.exit(exitStatus.success));
    return exitStatus.success;
  }
  const { runCommandLine } = await import('./framework/run-command-line.js');
  return runCommandLine(commands, argv);
};

process.stdout.on('error', handleOutputError);
process.stderr.on('error', handleOutputError);

try {
  process.exitCode = await main(basename(process.argv[1] ?? ''), process.argv.slice(2));
} catch (error) {
  printDiagnostic(messageOf(error));
  process.exitCode = error instanceof UsageError ? exitStatus.usage : exitStatus.error;
}
