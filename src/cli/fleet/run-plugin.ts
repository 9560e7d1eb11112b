import { completeForKubectl } from '../completion/complete-for-shell.js';
import { fleetCommands } from '../commands/fleet.js';
import { versionCommand } from '../commands/version.js';
import { runCommandLine } from '../framework/run-command-line.js';

const program = 'kubectl kube-ipvs';

const commands = [...fleetCommands(program), versionCommand];

/** Runs the program as a plugin of kubectl: the commands for all nodes, without `fleet`. */
export const runPlugin = async (argv: readonly string[]): Promise<number> => {
  if (argv[0] === '__complete') {
    process.stdout.write(completeForKubectl(commands, argv.slice(1)));
    return 0;
  }
  return runCommandLine(commands, argv.length === 0 ? ['--help'] : argv, program);
};
