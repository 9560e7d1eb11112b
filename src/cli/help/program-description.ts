import { adminSocketVariable, defaultAdminSocket } from '../../config/admin-socket.js';

/** What the whole program is; --help and the man page tell it. */
export const programDescription = {
  summary: "programs Services into the kernel's IPVS table, and shows what is there",
  about:
    'A successor of kube-proxy --proxy-mode=ipvs. Without a command it is the daemon: it takes kube-proxy’s flags and --config ' +
    'file; called as kube-proxy it is the daemon only.',
  examples: [
    [
      'kube-ipvs --config=/var/lib/kube-proxy/config.conf --hostname-override=node-1',
      'in the place of kube-proxy',
    ],
    ['kube-ipvs --kubeconfig=admin.conf --ipvs-scheduler=lc -v 2', 'with a kubeconfig, by least connections'],
    ['kube-ipvs --source=manifests/ --once', 'from files, without a cluster'],
    ['kube-ipvs --source=manifests/ --dry-run', 'what it would change here'],
    ['kube-ipvs config validate config.conf', 'every problem of a config file, by line'],
    ['kube-ipvs dump 10.96.0.1:443 --stats', 'one virtual server with its counters'],
    ['kube-ipvs dump --rules', 'the packet rules, as nft would list them'],
    ['kube-ipvs render -f service.yaml -o ipvsadm', 'as commands of ipvsadm'],
  ],
  exitStatuses: ['done', 'an error (the last line says which)', 'called wrongly'],
  daemonStatuses:
    'Of the daemon: 0 it was stopped by SIGTERM or SIGINT, or did all that --once, --init-only, --write-config-to or --cleanup ' +
    'asked; 1 a wrong configuration, something the node lacks, or a part refused by the kernel with --once or left over by ' +
    '--cleanup. A changed config file ends nothing: what can change does so in place.',
  flagNotes:
    'Flags marked * count beside --config; all others are ignored there, as kube-proxy does. Underscores stand for dashes.',
  files: [
    [defaultAdminSocket, 'where the daemon tells its state to root, read-only'],
    ['/var/lib/kube-proxy/config.conf', 'where kubeadm’s DaemonSet has the file for --config'],
    [
      '/var/run/secrets/kubernetes.io/serviceaccount',
      'with what a pod asks the API server, where there is no --kubeconfig',
    ],
  ],
  environment: [
    [
      adminSocketVariable,
      `where the admin socket is, for the daemon and the commands that ask it, instead of ${defaultAdminSocket}; empty: there is none. --admin-socket counts before it`,
    ],
    [
      'NO_COLOR',
      'anything but empty: no colours. There are none either where the output is no terminal, or TERM is dumb',
    ],
    [
      'FORCE_COLOR',
      'colours everywhere, whatever NO_COLOR says; 0 or false: nowhere. --color counts before both',
    ],
    ['KUBE_IPVS_TRACE', 'netlink: every message to and from the kernel goes to standard error, in words'],
    ['NODE_NAME', 'the name of the Node, for doctor where there is no --hostname-override'],
    ['KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT', 'where the API server is, in a pod'],
  ],
} as const;
