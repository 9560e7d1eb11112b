import { command, outputOption, type CommandGroup } from '../command.js';

const exitStatuses = ['done', 'something is wrong with a configuration', 'called wrongly'];

const printCommand = command({
  name: 'print',
  summary: 'Prints the configuration that flags and files make, with all defaults.',
  about: `Takes the flags of the daemon (--config=FILE among them) and prints the documents KubeProxyConfiguration and
KubeIpvsConfiguration that are in force with them, every default filled in.`,
  operand: { name: 'flags', summary: "the daemon's", many: true, completion: 'daemon-flag' },
  options: { output: outputOption(['yaml', 'json'], 'yaml') },
  passesOptions: true,
  examples: [
    ['kube-ipvs config print --config=/var/lib/kube-proxy/config.conf'],
    ['kube-ipvs config print --ipvs-scheduler=lc -o json'],
  ],
  exitStatuses,
  run: async (flags, { output }) => {
    const { parseFlags } = await import('../../config/flags.js');
    const { printConfig } = await import('../config.js');
    return printConfig(parseFlags(flags), output);
  },
});

const validateCommand = command({
  name: 'validate',
  summary: 'Tells what is wrong with config files, or that they are valid.',
  about: "Tells each file's problems by line.",
  operand: {
    name: 'file',
    summary: 'each by itself; - is standard input',
    mandatory: true,
    many: true,
    completion: 'file',
  },
  options: {},
  examples: [['kube-ipvs config validate config.conf other.yaml']],
  exitStatuses,
  run: async (files) => {
    const { validateConfig } = await import('../config.js');
    return validateConfig(files);
  },
});

const defaultsCommand = command({
  name: 'defaults',
  summary: 'Prints a config file with every field at its default.',
  options: { output: outputOption(['yaml', 'json'], 'yaml') },
  examples: [['kube-ipvs config defaults > config.conf']],
  exitStatuses,
  run: async (_, { output }) => {
    const { printDefaults } = await import('../config.js');
    return printDefaults(output);
  },
});

const commands = [printCommand, validateCommand, defaultsCommand];

export const configCommand: CommandGroup = {
  name: 'config',
  summary: 'Shows and checks the configuration; touches nothing.',
  commands,
  examples: commands.flatMap(({ examples }) => examples),
  exitStatuses,
};
