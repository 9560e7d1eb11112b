import { flagGroups, type Flag } from '../config/flag.js';
import { flagTable } from '../config/flag-table.js';

const usage = `Usage: kube-ipvs [run] [flags]            the daemon: programs Services into the kernel's IPVS table
       kube-ipvs dump [TARGET] [options]  what the kernel's IPVS table holds; --rules: the packet rules
       kube-ipvs cleanup [--dry-run]      removes what kube-ipvs has made on this node
       kube-ipvs render -f FILE [options] what a node would program for these objects; needs no root and no kernel
       kube-ipvs config print|validate|defaults   the configuration that flags and files make; what is wrong with one

A successor of kube-proxy --proxy-mode=ipvs. It takes kube-proxy's flags and --config file; called as kube-proxy it is the daemon.

Examples:
  kube-ipvs --config=/var/lib/kube-proxy/config.conf --hostname-override=node-1    in the place of kube-proxy
  kube-ipvs --kubeconfig=admin.conf --ipvs-scheduler=lc -v 2                       with a kubeconfig, by least connections
  kube-ipvs --source=manifests/ --once                                             from files, without a cluster
  kube-ipvs --source=manifests/ --dry-run                                          what it would change here
  kube-ipvs config validate config.conf                                            every problem of a config file, by line
  kube-ipvs dump 10.96.0.1:443 --stats                                             one virtual server with its counters
  kube-ipvs dump --rules                                                           the packet rules, as nft would list them
  kube-ipvs render -f service.yaml -o ipvsadm                                      as commands of ipvsadm

Exit status: 0 done, 1 an error (the last line says which), 2 called wrongly. Of the daemon: 0 it was stopped by SIGTERM or SIGINT, or did
all that --once, --init-only, --write-config-to or --cleanup asked; 1 a wrong configuration, something the node lacks, or a part refused
by the kernel with --once or left over by --cleanup. A changed config file ends nothing: what can change does so in place.
`;

const flagWords = ({ name, kind, placeholder, besideFile }: Flag): string => {
  const dashed = name === 'v' ? '-v, --v' : `--${name}`;
  return `  ${besideFile ? '*' : ' '} ${kind === 'boolean' ? dashed : `${dashed}=${placeholder}`}`;
};

const wrap = (text: string, width: number, indent: string): string => {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last !== '' && last.length + word.length >= width) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines.join(`\n${indent}`);
};

const flagText = (flag: Flag): string => {
  const words = flagWords(flag);
  const indent = ' '.repeat(46);
  const gap = words.length < indent.length - 1 ? words.padEnd(indent.length) : `${words}\n${indent}`;
  return `${gap}${wrap(flag.help, 74, indent)}`;
};

/** The text of `kube-ipvs --help`: commands, examples, and every flag by group. */
export const daemonHelp = (): string => {
  const groups = flagGroups.map((group) => {
    const flags = flagTable.filter((flag) => flag.group === group);
    return `\n${group}:\n${flags.map(flagText).join('\n')}\n`;
  });
  return `${usage}${groups.join('')}
Flags marked * count beside --config; all others are ignored there, as kube-proxy does. Underscores stand for dashes.
More of a command: kube-ipvs dump --help, kube-ipvs render --help, kube-ipvs cleanup --help, kube-ipvs config --help
`;
};
