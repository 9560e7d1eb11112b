import { defineCommand, outputOption, type CommandGroup } from '../framework/command.js';

const exitStatuses = ['success', 'a configuration is not valid', 'invalid command line'];

const printCommand = defineCommand({
  name: 'print',
  summary: 'Print the effective configuration of flags and files, with all defaults',
  description: `Takes the flags of the daemon, --config=FILE included, and prints the documents KubeProxyConfiguration and
KubeIpvsConfiguration with every field set.`,
  operand: { name: 'flags', summary: 'flags of the daemon', variadic: true, completion: 'daemon-flag' },
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
  summary: 'Check configuration files',
  description: 'Prints the problems of each file with their line numbers.',
  operand: {
    name: 'file',
    summary: 'files to check separately; - is standard input',
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
  summary: 'Print a configuration file with every field at its default',
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
  summary: 'Show and check the configuration',
  commands,
  examples: commands.flatMap(({ examples }) => examples),
  exitStatuses,
};
