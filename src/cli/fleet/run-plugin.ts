import { completeForKubectl } from '../completion/complete-for-shell.js';
import { fleetCommands, fleetGroup } from '../commands/fleet.js';
import { versionCommand } from '../commands/version.js';
import { helpFooter } from '../framework/command-help.js';
import { runCommandLine } from '../framework/run-command-line.js';

const name = 'kubectl kube-ipvs';
const fleet = fleetCommands(name);
const commands = [...fleet, versionCommand];

/** Runs the program as a plugin of kubectl: the commands for all nodes, without `fleet`. */
export const runPlugin = async (argv: readonly string[]): Promise<number> => {
  if (argv[0] === '__complete') {
    process.stdout.write(completeForKubectl(commands, argv.slice(1)));
    return 0;
  }
  return runCommandLine(commands, argv.length === 0 ? ['--help'] : argv, {
    name,
    footer: helpFooter(fleetGroup(fleet)),
  });
};
