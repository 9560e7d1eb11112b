import { adminSocketVariable, serviceProxyNameVariable } from '../../config/environment.js';
import { defaultInstance } from '../../model/instance-names.js';

/** The description of the program in --help and in the man page. */
export const programDescription = {
  summary: "programs Kubernetes Services into the kernel's IPVS table and shows the result",
  about:
    'It replaces kube-proxy --proxy-mode=ipvs. Without a command it runs the daemon, which accepts the flags and the --config file ' +
    'of kube-proxy. If the program is called as kube-proxy, it always runs the daemon.',
  examples: [
    [
      'kube-ipvs --config=/var/lib/kube-proxy/config.conf --hostname-override=node-1',
      'run in place of kube-proxy',
    ],
    [
      'kube-ipvs --kubeconfig=admin.conf --ipvs-scheduler=lc -v 2',
      'run with a kubeconfig and the scheduler lc',
    ],
    ['kube-ipvs --source=manifests/ --once', 'program Services from files, without a cluster, and exit'],
    ['kube-ipvs --source=manifests/ --dry-run', 'show what it would change on this node'],
    ['kube-ipvs config validate config.conf', 'check a configuration file'],
    ['kube-ipvs dump 10.96.0.1:443 --stats', 'show one virtual server with its counters'],
    ['kube-ipvs dump --rules', 'show the packet rules as nft lists them'],
    ['kube-ipvs render -f service.yaml -o ipvsadm', 'print the commands of ipvsadm for a Service'],
  ],
  exitStatuses: ['success', 'error (see the last line)', 'invalid command line'],
  daemonStatuses:
    'The daemon exits with 0 after SIGTERM or SIGINT, and after --once, --init-only, --write-config-to or --cleanup succeeded. It ' +
    'exits with 1 if the configuration is not valid, if the node lacks a requirement, if the kernel refused an operation with ' +
    '--once, or if --cleanup could not remove everything. A changed configuration file does not end it.',
  flagNotes:
    'With --config, only the flags marked * apply; the others are ignored, as in kube-proxy. Underscores are accepted for dashes.',
  files: [
    [
      defaultInstance.adminSocket,
      'the admin socket, on which root can read the state of the daemon; /run/kube-ipvs/admin-NAME.sock with serviceProxyName: NAME',
    ],
    ['/var/lib/kube-proxy/config.conf', 'the configuration file in the DaemonSet of kubeadm'],
    ['/var/run/secrets/kubernetes.io/serviceaccount', 'the credentials of a pod, used without --kubeconfig'],
  ],
  environment: [
    [
      adminSocketVariable,
      `path of the admin socket, for the daemon and the commands (default ${defaultInstance.adminSocket}); empty: no admin socket. --admin-socket takes precedence`,
    ],
    [
      serviceProxyNameVariable,
      'the instance of kube-ipvs that the daemon and the commands are about, if neither --service-proxy-name nor a configuration file names one',
    ],
    [
      'NO_COLOR',
      'if not empty: no colours. Output that is not a terminal, or with TERM=dumb, has none anyway',
    ],
    [
      'FORCE_COLOR',
      'always use colours, even with NO_COLOR; 0 or false: never. --color takes precedence over both',
    ],
    ['KUBE_IPVS_TRACE', 'netlink: print every message to and from the kernel on standard error'],
    ['NODE_NAME', 'the name of the Node, for doctor without --hostname-override'],
    ['KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT', 'the address of the API server, in a pod'],
  ],
} as const;
