/** How the text after a flag is read; what the text may be is the configuration's business. */
export type FlagKind = 'text' | 'boolean' | 'number' | 'list' | 'pairs';

export const flagGroups = [
  'Source and run',
  'IPVS',
  'Connection to the cluster',
  'Node and addresses',
  'Logging',
  'Serving',
  'Kernel settings',
  'Other modes (accepted, no effect here)',
] as const;
export type FlagGroup = (typeof flagGroups)[number];

export interface Flag {
  readonly name: string;
  readonly kind: FlagKind;
  readonly group: FlagGroup;
  /** The field of KubeProxyConfiguration that it sets, as `ipvs.syncPeriod`; undefined where no field has its meaning. */
  readonly field: string | undefined;
  /** What stands for the value in help. */
  readonly placeholder: string;
  readonly help: string;
  /** Given together with a file, the flag counts (kube-proxy-ipvs §1.3). */
  readonly besideFile: boolean;
}

const flag =
  (group: FlagGroup, besideFile = false) =>
  (name: string, kind: FlagKind, placeholder: string, field: string | undefined, help: string): Flag => ({
    name,
    kind,
    group,
    field,
    placeholder,
    help,
    besideFile,
  });

const run = flag('Source and run', true);
const ipvs = flag('IPVS');
const cluster = flag('Connection to the cluster');
const clusterBeside = flag('Connection to the cluster', true);
const node = flag('Node and addresses');
const nodeBeside = flag('Node and addresses', true);
const logging = flag('Logging', true);
const serving = flag('Serving');
const kernel = flag('Kernel settings');
const inert = flag('Other modes (accepted, no effect here)');

/** Every flag of kube-proxy 1.36 on Linux, and ours (kube-proxy-ipvs §1.2, design §1). */
export const flagTable: readonly Flag[] = [
  run(
    'config',
    'list',
    'FILE',
    undefined,
    'KubeProxyConfiguration, and KubeIpvsConfiguration as a second document or a second --config. With it, only the flags marked * count',
  ),
  run(
    'source',
    'text',
    'api|PATH',
    undefined,
    'where Services and EndpointSlices come from: the API server, or a file or folder of manifests that is watched (default api)',
  ),
  run('once', 'boolean', '', undefined, 'program the kernel once and exit'),
  run('dry-run', 'boolean', '', undefined, 'print the plan and touch nothing'),
  run('version', 'boolean', '', undefined, 'print the version and exit'),
  run('help', 'boolean', '', undefined, 'print this text and exit'),
  run(
    'write-config-to',
    'text',
    'FILE',
    undefined,
    'write the configuration that flags and files make, with all defaults, as YAML, and exit',
  ),
  run(
    'init-only',
    'boolean',
    '',
    undefined,
    'set the kernel settings and try the scheduler, which takes more rights than all else, and exit; asks no API server',
  ),
  run('cleanup', 'boolean', '', undefined, 'remove what kube-ipvs has made here, and exit'),
  ipvs('proxy-mode', 'text', 'ipvs', 'mode', 'the only mode there is here: ipvs (default)'),
  ipvs(
    'ipvs-scheduler',
    'text',
    'NAME',
    'ipvs.scheduler',
    'rr, wrr, lc, wlc, lblc, lblcr, dh, sh, mh, sed, nq, fo, ovf, twos (default rr)',
  ),
  ipvs(
    'ipvs-sync-period',
    'text',
    'DURATION',
    'ipvs.syncPeriod',
    'how often the whole kernel table is checked and repaired (default 30s)',
  ),
  ipvs(
    'ipvs-min-sync-period',
    'text',
    'DURATION',
    'ipvs.minSyncPeriod',
    'the least time between two syncs of changes; 0s: at once (default 1s; 0s in a file)',
  ),
  ipvs(
    'ipvs-exclude-cidrs',
    'list',
    'CIDR,…',
    'ipvs.excludeCIDRs',
    'virtual servers within these networks are never deleted',
  ),
  ipvs(
    'ipvs-strict-arp',
    'boolean',
    '',
    'ipvs.strictARP',
    'answer ARP only for addresses of the interface asked (arp_ignore 1, arp_announce 2)',
  ),
  ipvs(
    'ipvs-tcp-timeout',
    'text',
    'DURATION',
    'ipvs.tcpTimeout',
    "IPVS' timeout of idle TCP connections (default 0s: leave the kernel's)",
  ),
  ipvs(
    'ipvs-tcpfin-timeout',
    'text',
    'DURATION',
    'ipvs.tcpFinTimeout',
    "IPVS' timeout of TCP connections after a FIN (default 0s: leave the kernel's)",
  ),
  ipvs(
    'ipvs-udp-timeout',
    'text',
    'DURATION',
    'ipvs.udpTimeout',
    "IPVS' timeout of UDP flows (default 0s: leave the kernel's)",
  ),
  cluster(
    'kubeconfig',
    'text',
    'FILE',
    'clientConnection.kubeconfig',
    'how to reach the API server (default: as a pod of the cluster)',
  ),
  clusterBeside('master', 'text', 'URL', undefined, 'address of the API server; wins over the kubeconfig'),
  cluster(
    'kube-api-qps',
    'number',
    'NUMBER',
    'clientConnection.qps',
    'requests a second to the API server (default 5)',
  ),
  cluster(
    'kube-api-burst',
    'number',
    'NUMBER',
    'clientConnection.burst',
    'requests to the API server that may come at once (default 10)',
  ),
  cluster(
    'kube-api-content-type',
    'text',
    'TYPE',
    'clientConnection.contentType',
    'no effect: the API server is always asked for JSON',
  ),
  cluster(
    'config-sync-period',
    'text',
    'DURATION',
    'configSyncPeriod',
    'no effect: what a watch has delivered is not delivered again',
  ),
  nodeBeside(
    'hostname-override',
    'text',
    'NAME',
    'hostnameOverride',
    'the name of this Node (default: the name of the machine)',
  ),
  node(
    'nodeport-addresses',
    'list',
    'CIDR,…',
    'nodePortAddresses',
    'NodePorts are served on the addresses of this machine within these networks, or "primary": on those of the Node object (default: on all)',
  ),
  node(
    'bind-address',
    'text',
    'IP',
    'bindAddress',
    'the address of this node, if not that of the Node object (default 0.0.0.0)',
  ),
  node('cluster-cidr', 'text', 'CIDR[,CIDR]', 'clusterCIDR', 'the networks of the pods'),
  node(
    'detect-local-mode',
    'text',
    'MODE',
    'detectLocalMode',
    'how traffic of pods of this node is told from other: ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix (default ClusterCIDR)',
  ),
  node(
    'pod-bridge-interface',
    'text',
    'NAME',
    'detectLocal.bridgeInterface',
    'the bridge of the pods, for BridgeInterface',
  ),
  node(
    'pod-interface-name-prefix',
    'text',
    'PREFIX',
    'detectLocal.interfaceNamePrefix',
    'how names of pod interfaces begin, for InterfaceNamePrefix',
  ),
  node('masquerade-all', 'boolean', '', 'iptables.masqueradeAll', 'masquerade all traffic to cluster IPs'),
  node(
    'iptables-masquerade-bit',
    'number',
    'BIT',
    'iptables.masqueradeBit',
    'the bit of the packet mark that asks for masquerading, 0 to 31 (default 14)',
  ),
  node('feature-gates', 'pairs', 'GATE=true,…', 'featureGates', "kube-proxy's feature gates"),
  logging(
    'v',
    'number',
    'LEVEL',
    'logging.verbosity',
    'verbosity: 0 says what happens, 4 and more every operation (default 0)',
  ),
  logging(
    'logging-format',
    'text',
    'text|json',
    'logging.format',
    'lines as klog writes them, or an object a line (default text)',
  ),
  logging(
    'log-flush-frequency',
    'text',
    'DURATION',
    'logging.flushFrequency',
    'no effect: lines are written at once',
  ),
  logging('vmodule', 'pairs', 'PATTERN=LEVEL,…', 'logging.vmodule', 'no effect: --v counts for all files'),
  logging(
    'log-text-split-stream',
    'boolean',
    '',
    'logging.options.text.splitStream',
    'no effect: lines are written at once, to standard error',
  ),
  logging(
    'log-json-split-stream',
    'boolean',
    '',
    'logging.options.json.splitStream',
    'no effect: lines are written at once, to standard error',
  ),
  logging(
    'log-text-info-buffer-size',
    'text',
    'QUANTITY',
    'logging.options.text.infoBufferSize',
    'no effect: lines are written at once, to standard error',
  ),
  logging(
    'log-json-info-buffer-size',
    'text',
    'QUANTITY',
    'logging.options.json.infoBufferSize',
    'no effect: lines are written at once, to standard error',
  ),
  serving(
    'healthz-bind-address',
    'text',
    'IP:PORT',
    'healthzBindAddress',
    'where the health server listens (default 0.0.0.0:10256)',
  ),
  serving(
    'healthz-port',
    'number',
    'PORT',
    undefined,
    'deprecated for --healthz-bind-address: its port, where it has none; 0 turns the health server off',
  ),
  serving(
    'metrics-bind-address',
    'text',
    'IP:PORT',
    'metricsBindAddress',
    'where the metrics server listens (default 127.0.0.1:10249)',
  ),
  serving(
    'metrics-port',
    'number',
    'PORT',
    undefined,
    'deprecated for --metrics-bind-address: its port, where it has none',
  ),
  serving(
    'bind-address-hard-fail',
    'boolean',
    '',
    'bindAddressHardFail',
    'a listener that fails ends the program',
  ),
  serving('profiling', 'boolean', '', 'enableProfiling', 'profiling on the metrics server'),
  serving(
    'show-hidden-metrics-for-version',
    'text',
    'VERSION',
    'showHiddenMetricsForVersion',
    'no effect: kube-ipvs hides no metrics',
  ),
  kernel(
    'oom-score-adj',
    'number',
    'NUMBER',
    'oomScoreAdj',
    'how soon the kernel ends this process when memory is short, -1000 (never) to 1000 (default -999)',
  ),
  kernel(
    'conntrack-max-per-core',
    'number',
    'NUMBER',
    'conntrack.maxPerCore',
    'connections tracked for each core (default 32768; 0: leave)',
  ),
  kernel(
    'conntrack-min',
    'number',
    'NUMBER',
    'conntrack.min',
    'the least number of connections tracked (default 131072)',
  ),
  kernel(
    'conntrack-tcp-timeout-established',
    'text',
    'DURATION',
    'conntrack.tcpEstablishedTimeout',
    'default 24h; 0s: leave',
  ),
  kernel(
    'conntrack-tcp-timeout-close-wait',
    'text',
    'DURATION',
    'conntrack.tcpCloseWaitTimeout',
    'default 1h; 0s: leave',
  ),
  kernel(
    'conntrack-tcp-be-liberal',
    'boolean',
    '',
    'conntrack.tcpBeLiberal',
    'take packets outside the TCP window',
  ),
  kernel('conntrack-udp-timeout', 'text', 'DURATION', 'conntrack.udpTimeout', 'default 0s: leave'),
  kernel(
    'conntrack-udp-timeout-stream',
    'text',
    'DURATION',
    'conntrack.udpStreamTimeout',
    'default 0s: leave',
  ),
  inert('iptables-sync-period', 'text', 'DURATION', 'iptables.syncPeriod', 'of the iptables mode'),
  inert('iptables-min-sync-period', 'text', 'DURATION', 'iptables.minSyncPeriod', 'of the iptables mode'),
  inert('iptables-localhost-nodeports', 'boolean', '', 'iptables.localhostNodePorts', 'of the iptables mode'),
  inert('boot-id-file', 'text', 'FILE', undefined, 'a leftover of kube-proxy'),
  inert('machine-id-file', 'text', 'FILE', undefined, 'a leftover of kube-proxy'),
];
