#!/usr/bin/env node
import { basename } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { messageOf } from '../base/errors.js';
import { version } from '../base/version.js';
import { flagIsSet, parseFlags, UsageError } from '../config/flags.js';

// Every command's code is imported when the command is called: none pays for another, and only the daemon's loads the
// Kubernetes client.

/** As --help and the README tell. */
const exitStatus = { done: 0, error: 1, usage: 2 } as const;

const printDaemonHelp = async (): Promise<number> => {
  const { daemonHelp } = await import('./daemon-help.js');
  process.stdout.write(daemonHelp());
  return exitStatus.done;
};

const runDaemonCommand = async (argv: readonly string[]): Promise<number> => {
  const flags = parseFlags(argv);
  if (flagIsSet(flags, 'help')) return printDaemonHelp();
  if (flagIsSet(flags, 'version')) {
    process.stdout.write(`kube-ipvs v${version}\n`);
    return exitStatus.done;
  }
  const { loadSettings } = await import('../config/load-settings.js');
  const settings = loadSettings(flags);
  if (settings.writeConfigTo !== undefined) {
    const { writeConfig } = await import('./config.js');
    return writeConfig(settings, settings.writeConfigTo);
  }
  if (flagIsSet(flags, 'cleanup')) {
    const { cleanup } = await import('./cleanup.js');
    return cleanup(settings);
  }
  const { run } = await import('./run.js');
  return run(settings, () => loadSettings(flags));
};

const dumpExamples = `
Examples:
  kube-ipvs dump                            everything, by address
  kube-ipvs dump 10.96.0.10                 all ports of one VIP
  kube-ipvs dump '[fd00::a]:53' --stats     one virtual server with its totals
  kube-ipvs dump --rate -o wide             what flows now, with every column
  kube-ipvs dump -o json | jq '.virtualServers | length'
  kube-ipvs dump --rules                    the packet rules with their comments and elements, as nft prints them
  kube-ipvs dump --rules 10.96.0.1:443      the rules, and of the elements those of one virtual server
  kube-ipvs dump -o ipvsadm > table         and ipvsadm -R < table restores it

Needs CAP_NET_ADMIN, as ipvsadm does.
Exit status: 0 done, 1 an error or nothing at the target, 2 called wrongly.`;

const addDump = (root: Command, finish: (status: number) => void): void => {
  root
    .command('dump')
    .description(
      "Shows the kernel's IPVS table: virtual servers, their real servers and connections; or the packet rules.",
    )
    .argument('[target]', 'a VIP, or a VIP with a port: 10.96.0.1, 10.96.0.1:443, [fd00::1]:443')
    .addOption(
      new Option('-o, --output <format>', 'how to print it')
        .choices(['table', 'wide', 'json', 'yaml', 'ipvsadm'])
        .default('table'),
    )
    .option('--stats', 'connections, packets and bytes since a server was added')
    .option('--rate', 'connections, packets and bytes a second')
    .option('--rules', 'the packet rules (nftables tables ip and ip6 kube-ipvs) instead of the IPVS table')
    .option('--no-headers', 'no line of column titles')
    .addHelpText('after', dumpExamples)
    .action(async (target: string | undefined, options: Readonly<Record<string, unknown>>) => {
      const { dump } = await import('./dump.js');
      const { stats = false, rate = false, rules = false, headers, output } = options;
      finish(
        await dump({
          target,
          output: String(output),
          rules: rules === true,
          statistics: stats === true,
          rates: rate === true,
          titles: headers !== false,
        }),
      );
    });
};

const renderExamples = `
Examples:
  kube-ipvs render -f service.yaml -f slices.yaml
  kubectl get services,endpointslices,nodes -A -o yaml | kube-ipvs render -f - --hostname-override=node-1
  kube-ipvs render -f manifests/ --node-addresses=10.0.0.5/24,fd00::5/64 -o ipvsadm

Pure: asks no cluster and no kernel. Exit status: 0 done, 1 an error, 2 called wrongly.`;

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

/** Options that may be given several times. */
interface Repeatable {
  readonly filename: readonly string[];
  readonly config: readonly string[] | undefined;
}

const addRender = (root: Command, finish: (status: number) => void): void => {
  root
    .command('render')
    .description('Shows what a node would program for these Services, EndpointSlices and Nodes.')
    .addOption(
      new Option(
        '-f, --filename <path>',
        'a file or folder of manifests, YAML or JSON; - is standard input; repeatable',
      )
        .argParser(collect)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('-o, --output <format>', 'how to print it')
        .choices(['json', 'ipvsadm', 'plan'])
        .default('json'),
    )
    .addOption(new Option('--config <file>', 'KubeProxyConfiguration; repeatable').argParser(collect))
    .option(
      '--node-addresses <list>',
      "the node's addresses, as 10.0.0.5/24,fd00::5/64 (default: this machine's)",
    )
    .option('--hostname-override <name>', 'the name of the Node (default: the name of this machine)')
    .option('--ipvs-scheduler <name>', 'the scheduler of Services that name none (default: rr)')
    .addHelpText('after', renderExamples)
    .action(async (options: Readonly<Record<string, string | undefined>> & Repeatable) => {
      const { render } = await import('./render.js');
      const { filename, config, output = 'json', nodeAddresses, hostnameOverride, ipvsScheduler } = options;
      finish(await render({ filename, config, output, nodeAddresses, hostnameOverride, ipvsScheduler }));
    });
};

const cleanupHelp = `
Removes its virtual servers (those that its packet rules name, and those on addresses of kube-ipvs0), the interface
kube-ipvs0 with its addresses, its rules in chains of others (forwarding.acceptInForeignChains), and the nftables tables
ip and ip6 kube-ipvs. Virtual servers, addresses and tables of
others stay, and so do kernel settings (sysctl). Asks no API server. Stop the daemon first: it would put everything back.

Examples:
  kube-ipvs cleanup --dry-run                        what would go
  kube-ipvs cleanup
  kube-ipvs cleanup --config=config.conf             leave virtual servers in its ipvs.excludeCIDRs
  kube-proxy --cleanup                               the same, where kube-ipvs is called as kube-proxy

Needs CAP_NET_ADMIN. Exit status: 0 nothing is left, 1 something is, and why, or another error, 2 called wrongly.`;

const addCleanup = (root: Command, finish: (status: number) => void): void => {
  root
    .command('cleanup')
    .description('Removes from this node what kube-ipvs has made, and nothing else.')
    .option('--dry-run', 'print what would be removed and touch nothing')
    .addOption(new Option('--config <file>', 'KubeProxyConfiguration; repeatable').argParser(collect))
    .addHelpText('after', cleanupHelp)
    .action(async ({ dryRun, config = [] }: { dryRun?: boolean; config?: readonly string[] }) => {
      const flags = [...config.map((file) => `--config=${file}`), `--dry-run=${dryRun === true}`];
      const { loadSettings } = await import('../config/load-settings.js');
      const { cleanup } = await import('./cleanup.js');
      finish(await cleanup(loadSettings(parseFlags(flags))));
    });
};

const configHelp = `
print takes the flags of the daemon (--config=FILE among them) and prints the documents KubeProxyConfiguration and
KubeIpvsConfiguration that are in force with them, every default filled in. validate tells each file's problems by line.

Examples:
  kube-ipvs config print --config=/var/lib/kube-proxy/config.conf
  kube-ipvs config print --ipvs-scheduler=lc -o json
  kube-ipvs config validate config.conf other.yaml
  kube-ipvs config defaults > config.conf

Exit status: 0 done, 1 something is wrong with a configuration, 2 called wrongly.`;

const addConfig = (root: Command, finish: (status: number) => void): void => {
  const config = root
    .command('config')
    .description('Shows and checks the configuration; touches nothing.')
    .addHelpText('after', configHelp);
  const output = () =>
    new Option('-o, --output <format>', 'how to print it').choices(['yaml', 'json']).default('yaml');
  config
    .command('print')
    .description('Prints the configuration that flags and files make, with all defaults.')
    .argument('[flags...]', "the daemon's")
    .addOption(output())
    .allowUnknownOption()
    .action(async (flags: readonly string[], { output: format }: { output: 'yaml' | 'json' }) => {
      const { printConfig } = await import('./config.js');
      finish(printConfig(parseFlags(flags), format));
    });
  config
    .command('validate')
    .description('Tells what is wrong with config files, or that they are valid.')
    .argument('<file...>', 'each by itself; - is standard input')
    .action(async (files: readonly string[]) => {
      const { validateConfig } = await import('./config.js');
      finish(validateConfig(files));
    });
  config
    .command('defaults')
    .description('Prints a config file with every field at its default.')
    .addOption(output())
    .action(async ({ output: format }: { output: 'yaml' | 'json' }) => {
      const { printDefaults } = await import('./config.js');
      finish(printDefaults(format));
    });
};

const buildProgram = (finish: (status: number) => void): Command => {
  const root = new Command('kube-ipvs')
    .exitOverride()
    .showHelpAfterError('(add --help for what there is)')
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'kube-ipvs: ')) });
  addDump(root, finish);
  addRender(root, finish);
  addCleanup(root, finish);
  addConfig(root, finish);
  return root;
};

/** Whether the words call the daemon: called as kube-proxy, `run`, flags only, or nothing at all. */
const callsDaemon = (calledAs: string, argv: readonly string[]): boolean =>
  calledAs === 'kube-proxy' || argv[0] === undefined || argv[0] === 'run' || argv[0].startsWith('-');

const main = async (calledAs: string, argv: readonly string[]): Promise<number> => {
  if (callsDaemon(calledAs, argv))
    return runDaemonCommand(argv[0] === 'run' && calledAs !== 'kube-proxy' ? argv.slice(1) : argv);
  if (argv[0] === 'help' && (argv[1] === undefined || argv[1] === 'run')) return printDaemonHelp();
  let status: number = exitStatus.done;
  await buildProgram((result) => {
    status = result;
  }).parseAsync(argv, { from: 'user' });
  return status;
};

const statusOf = (error: unknown): number => {
  // Commander has told it already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitStatus.done : exitStatus.usage;
  process.stderr.write(`kube-ipvs: ${messageOf(error)}\n`);
  return error instanceof UsageError ? exitStatus.usage : exitStatus.error;
};

// The reader of a pipe may leave early, as head does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(exitStatus.done);
});

try {
  process.exitCode = await main(basename(process.argv[1] ?? ''), process.argv.slice(2));
} catch (error) {
  process.exitCode = statusOf(error);
}
