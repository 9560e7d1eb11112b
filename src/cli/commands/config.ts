import { defineCommand, outputOption, type CommandGroup } from '../framework/command.js';

const exitStatuses = ['done', 'something is wrong with a configuration', 'called wrongly'];

const printCommand = defineCommand({
  name: 'print',
  summary: 'Prints the configuration that flags and files make, with all defaults.',
  description: `Takes the flags of the daemon (--config=FILE among them) and prints the documents KubeProxyConfiguration and
KubeIpvsConfiguration that are in force with them, every default filled in.`,
  operand: { name: 'flags', summary: "the daemon's", variadic: true, completion: 'daemon-flag' },
  options: { output: outputOption(['yaml', 'json'], 'yaml') },
  allowsUnknownOptions: true,
  examples: [
    ['kube-ipvs config print --config=/var/lib/kube-proxy/config.conf'],
    ['kube-ipvs config print --ipvs-scheduler=lc -o json'],
  ],
  exitStatuses,
  run: async (flags, { output }) => {
    const { parseFlags } = await import('../../config/parse-flags.js');
    const { printConfig } = await import('../config/config.js');
    return printConfig(parseFlags(flags), output);
  },
});

const validateCommand = defineCommand({
  name: 'validate',
  summary: 'Tells what is wrong with config files, or that they are valid.',
  description: "Tells each file's problems by line.",
  operand: {
    name: 'file',
    summary: 'each by itself; - is standard input',
    mandatory: true,
    variadic: true,
    completion: 'file',
  },
  options: {},
  examples: [['kube-ipvs config validate config.conf other.yaml']],
  exitStatuses,
  run: async (files) => {
    const { validateConfig } = await import('../config/config.js');
    return validateConfig(files);
  },
});

const defaultsCommand = defineCommand({
  name: 'defaults',
  summary: 'Prints a config file with every field at its default.',
  options: { output: outputOption(['yaml', 'json'], 'yaml') },
  examples: [['kube-ipvs config defaults > config.conf']],
  exitStatuses,
  run: async (_, { output }) => {
    const { printDefaults } = await import('../config/config.js');
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
