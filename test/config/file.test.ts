import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InputError } from '../../src/base/errors.js';
import { parseIp } from '../../src/base/ip.js';
import { parseFlags } from '../../src/config/parse-flags.js';
import { nodePortNetworks } from '../../src/config/node-port-networks.js';
import { resolveSettings, type Settings } from '../../src/config/settings.js';

const header = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n';
const ownHeader = 'apiVersion: kube-ipvs.dev/v1alpha1\nkind: KubeIpvsConfiguration\n';
const withMode = `${header}mode: ipvs\n`;

const read = (texts: readonly string[], argv: readonly string[] = []): Settings =>
  resolveSettings({
    flags: parseFlags(argv),
    files: texts.map((text, index) => ({ name: `c${index}.yaml`, text })),
    hostname: 'machine',
  });

const failure = (texts: readonly string[], argv: readonly string[] = []): string => {
  try {
    read(texts, argv);
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
  return assert.fail('was taken');
};

const duration = 'must be a duration, such as "30s", "1m30s" or "500ms" (or a whole number of nanoseconds)';
const network = 'must be a network, such as "10.0.0.0/8" or "fd00::/64"';
const zeroOrMore = 'must be a whole number of 0 or more';
const leave = "must be 0s (do not change the kernel's) or more";
const socket = 'must be IP:port, such as "0.0.0.0:10256" or "[::]:10256"';
const oneOrTwo = 'must be one network, or an IPv4 and an IPv6 network';
const networks =
  'must be one network, or an IPv4 and an IPv6 network separated by a comma without spaces, such as "10.244.0.0/16,fd00:10:244::/56"';

/** A line of a file, and what is said of it (kube-proxy-ipvs §1.2, the column "validation"). */
const refused: readonly (readonly [string, string])[] = [
  ['ipvs: {syncPeriod: 30 s}', `ipvs.syncPeriod ${duration}; it is "30 s"`],
  ['ipvs: {syncPeriod: -1s}', 'ipvs.syncPeriod must be more than 0s; it is "-1s"'],
  [
    'ipvs: {syncPeriod: 1s, minSyncPeriod: 2s}',
    'ipvs.syncPeriod must be at least ipvs.minSyncPeriod, which is 2s; it is "1s"',
  ],
  ['ipvs: {minSyncPeriod: -1s}', 'ipvs.minSyncPeriod must be 0s or more; it is "-1s"'],
  ['ipvs: {tcpTimeout: -1s}', `ipvs.tcpTimeout ${leave}; it is "-1s"`],
  ['ipvs: {tcpFinTimeout: -1s}', `ipvs.tcpFinTimeout ${leave}; it is "-1s"`],
  ['ipvs: {udpTimeout: true}', `ipvs.udpTimeout ${duration}; it is true`],
  ['ipvs: {excludeCIDRs: [10.0.0.0/8, 10.0.0.1]}', `ipvs.excludeCIDRs[1] ${network}; it is "10.0.0.1"`],
  ['ipvs: {excludeCIDRs: 10.0.0.0/8}', 'ipvs.excludeCIDRs must be a list; it is "10.0.0.0/8"'],
  ['ipvs: {strictARP: "yes"}', 'ipvs.strictARP must be true or false; it is "yes"'],
  ['ipvs: {scheduler: 5}', 'ipvs.scheduler must be a string; put it in quotes; it is 5'],
  ['ipvs: [rr]', 'ipvs must be a mapping of fields; it is ["rr"]'],
  ['clientConnection: {burst: -1}', `clientConnection.burst ${zeroOrMore}; it is -1`],
  ['clientConnection: {qps: fast}', 'clientConnection.qps must be a number; it is "fast"'],
  ['logging: {format: xml}', 'logging.format must be one of text, json; it is "xml"'],
  ['logging: {flushFrequency: -5}', 'logging.flushFrequency must be more than 0s; it is -5'],
  ['logging: {verbosity: 2147483648}', `logging.verbosity ${zeroOrMore}; it is 2147483648`],
  [
    'logging: {vmodule: [{filePattern: "a=b"}]}',
    'logging.vmodule[0].filePattern must be a file name pattern without "=" and ","; it is "a=b"',
  ],
  [
    'logging: {format: json, vmodule: [{filePattern: a, verbosity: 2}]}',
    'logging.vmodule must be empty if logging.format is json; it is [{"filePattern":"a","verbosity":2}]',
  ],
  [
    'logging: {options: {text: {splitStream: true}}}',
    'logging.options.text must be left at its defaults unless the feature gate LoggingAlphaOptions is on',
  ],
  [
    'logging: {options: {json: {infoBufferSize: big}}}',
    'logging.options.json.infoBufferSize must be a quantity of bytes, such as "0", "512Ki" or "4Mi"; it is "big"',
  ],
  ['hostnameOverride: "  "', 'hostnameOverride must not be blank; omit it to use the host name; it is "  "'],
  [
    'bindAddress: "[::]"',
    'bindAddress must be an IP address, such as "0.0.0.0" or "fd00::1", without brackets and without a port; it is "[::]"',
  ],
  ['healthzBindAddress: "[::1]"', `healthzBindAddress ${socket}; it is "[::1]"`],
  [
    'healthzBindAddress: "node:10256"',
    'healthzBindAddress must have a valid IP address before the port; it is "node:10256"',
  ],
  [
    'metricsBindAddress: "127.0.0.1:70000"',
    'metricsBindAddress must have a port from 1 to 65535; it is "127.0.0.1:70000"',
  ],
  [
    'showHiddenMetricsForVersion: "1.20"',
    'showHiddenMetricsForVersion must be empty or "1.35", the previous minor version; it is "1.20"',
  ],
  ['iptables: {masqueradeBit: 32}', 'iptables.masqueradeBit must be a whole number from 0 to 31; it is 32'],
  [
    'detectLocalMode: Guess',
    'detectLocalMode must be one of ClusterCIDR, NodeCIDR, BridgeInterface, InterfaceNamePrefix; it is "Guess"',
  ],
  [
    'detectLocal: {bridgeInterface: ""}\ndetectLocalMode: BridgeInterface',
    'detectLocal.bridgeInterface must name an interface if detectLocalMode is BridgeInterface; it is ""',
  ],
  [
    'detectLocal: {interfaceNamePrefix: ""}\ndetectLocalMode: InterfaceNamePrefix',
    'detectLocal.interfaceNamePrefix must be a name prefix if detectLocalMode is InterfaceNamePrefix; it is ""',
  ],
  ['clusterCIDR: "10.0.0.0/8, fd00::/64"', `clusterCIDR ${networks}; it is "10.0.0.0/8, fd00::/64"`],
  ['clusterCIDR: 10.0.0.0/8,11.0.0.0/8', `clusterCIDR ${oneOrTwo}; it is "10.0.0.0/8,11.0.0.0/8"`],
  [
    'nodePortAddresses: [primary, 10.0.0.0/8]',
    'nodePortAddresses must contain either "primary" alone or only networks; it is ["primary","10.0.0.0/8"]',
  ],
  ['nodePortAddresses: [eth0]', `nodePortAddresses[0] ${network}, or "primary" alone; it is "eth0"`],
  ['oomScoreAdj: -1001', 'oomScoreAdj must be a whole number from -1000 to 1000; it is -1001'],
  ['conntrack: {min: -1}', `conntrack.min ${zeroOrMore}; it is -1`],
  ['conntrack: {maxPerCore: 1.5}', `conntrack.maxPerCore ${zeroOrMore}; it is 1.5`],
  ['conntrack: {tcpEstablishedTimeout: -1s}', `conntrack.tcpEstablishedTimeout ${leave}; it is "-1s"`],
  ['conntrack: {udpStreamTimeout: -1s}', `conntrack.udpStreamTimeout ${leave}; it is "-1s"`],
  ['configSyncPeriod: -1s', 'configSyncPeriod must be more than 0s; it is "-1s"'],
  [
    'featureGates: {AllowServiceExternalIPs: "no"}',
    'featureGates.AllowServiceExternalIPs must be true or false; it is "no"',
  ],
  [
    'featureGates: {PreferSameTrafficDistribution: false}',
    'featureGates.PreferSameTrafficDistribution must be true, to which this feature is locked; it is false. Omit it.',
  ],
];

for (const [line, message] of refused)
  test(`refused: ${line}`, () => {
    assert.equal(failure([`${withMode}${line}\n`]), `c0.yaml:4: ${message}`);
  });

test('modes that are not ours are refused with what to do', () => {
  for (const mode of ['iptables', 'nftables', 'kernelspace'])
    assert.equal(
      failure([`${header}\nmode: ${mode}\n`]),
      `c0.yaml:4: mode must be ipvs; it is "${mode}". kube-ipvs replaces kube-proxy in IPVS mode only: ` +
        'set "mode: ipvs" (without a file: --proxy-mode=ipvs) to use it on this node, or keep kube-proxy here',
    );
  assert.match(
    failure([header]),
    /^c0\.yaml:1: mode must be ipvs\. In kube-proxy an empty mode means iptables\. /,
  );
});

test('all wrong values are told at once', () => {
  const lines = failure([`${withMode}oomScoreAdj: x\nipvs:\n  strictARP: 1\n`]).split('\n');
  assert.deepEqual(
    new Set(lines.map((line) => line.split(' ')[1])),
    new Set(['ipvs.strictARP', 'oomScoreAdj']),
  );
});

test('what a file may say', () => {
  const settings = read([
    `${withMode}hostnameOverride: " Node-1 "
clusterCIDR: 10.244.0.0/16,fd00:10:244::/56
nodePortAddresses: [010.000.0.0/8]
ipvs: {scheduler: lc, syncPeriod: 60000000000, minSyncPeriod: 1m30s500ms, excludeCIDRs: [10.1.2.3/8], strictARP: true, tcpTimeout: 1h, tcpFinTimeout: 2m, udpTimeout: 0.5s}
clientConnection: {kubeconfig: /k, qps: 2.5, burst: 7}
featureGates: {AllowServiceExternalIPs: false}
logging: {verbosity: 4}
`.replace('1m30s500ms', '30s500ms'),
  ]);
  assert.equal(settings.nodeName, 'node-1');
  assert.deepEqual(
    settings.clusterCidrs.map(({ text }) => text),
    ['10.244.0.0/16', 'fd00:10:244::/56'],
  );
  assert.deepEqual(settings.nodePortAddresses, [
    { text: '10.0.0.0/8', address: '10.0.0.0', prefixLength: 8 },
  ]);
  assert.deepEqual(
    settings.excludeCidrs.map(({ text }) => text),
    ['10.0.0.0/8'],
  );
  const { scheduler, syncPeriod, minSyncPeriod, strictArp, tcpTimeout, tcpFinTimeout, udpTimeout } = settings;
  assert.deepEqual(
    [scheduler, syncPeriod, minSyncPeriod, strictArp, tcpTimeout, tcpFinTimeout, udpTimeout],
    ['lc', 60_000, 30_500, true, 3_600_000, 120_000, 500],
  );
  const { kubeconfig, qps, burst, externalIpsAllowed, verbosity, warnings } = settings;
  assert.deepEqual(
    [kubeconfig, qps, burst, externalIpsAllowed, verbosity, warnings],
    ['/k', 2.5, 7, false, 4, []],
  );
});

test('JSON is read as YAML is', () => {
  const object = { apiVersion: 'kubeproxy.config.k8s.io/v1alpha1', kind: 'KubeProxyConfiguration' };
  const text = JSON.stringify({ ...object, mode: 'ipvs', ipvs: { scheduler: 'sh' } }, undefined, 1);
  assert.equal(read([text]).scheduler, 'sh');
  assert.match(failure([text.replace('"sh"', '7')]), /^c0\.yaml:6: ipvs\.scheduler must be a string/);
});

test('unknown fields warn with what was probably meant; duplicates warn, and the last one counts', () => {
  const { warnings, scheduler } = read([
    `${withMode}ipvs:\n  scheduler: lc\n  syncperiod: 5s\n  scheduler: sh\nsomething: [1]\n`,
  ]);
  assert.equal(scheduler, 'sh');
  assert.deepEqual(warnings, [
    'c0.yaml:7: scheduler is set twice; the last value applies',
    'c0.yaml:6: ipvs.syncperiod is unknown and ignored; did you mean ipvs.syncPeriod?',
    'c0.yaml:8: something is unknown and ignored',
  ]);
});

test('fields without effect are named once, and only where they are set', () => {
  const { warnings } = read([
    `${withMode}configSyncPeriod: 5m\noomScoreAdj: -5\nportRange: 1-2\niptables: {syncPeriod: 30s, localhostNodePorts: false}\nlogging: {vmodule: [{filePattern: a, verbosity: 2}]}\n`,
  ]);
  assert.deepEqual(warnings, [
    'configSyncPeriod has no effect: watches do not repeat objects',
    'logging.vmodule has no effect: logging.verbosity applies to all of kube-ipvs',
    'iptables.localhostNodePorts has no effect: only the iptables mode uses it',
    'portRange has no effect: only the removed userspace mode used it',
  ]);
});

test('an interface name that no interface can have warns and passes, as with kube-proxy, where its mode asks for it', () => {
  const never = (field: string, bytes: number) => [
    `detectLocal.${field} never matches: it has ${bytes} bytes, and an interface name has at most 15. ` +
      'No traffic is recognized as coming from a pod of this node, and all connections to ClusterIPs are masqueraded',
  ];
  const warnings = (mode: string, detectLocal: string) =>
    read([`${withMode}detectLocalMode: ${mode}\ndetectLocal: {${detectLocal}}\n`]).warnings;
  assert.deepEqual(
    warnings('BridgeInterface', 'bridgeInterface: a-very-long-name'),
    never('bridgeInterface', 16),
  );
  assert.deepEqual(warnings('BridgeInterface', 'bridgeInterface: a-very-long-nam'), []);
  assert.deepEqual(warnings('BridgeInterface', 'bridgeInterface: ééééééé1'), []);
  assert.deepEqual(warnings('BridgeInterface', 'bridgeInterface: éééééééé'), never('bridgeInterface', 16));
  assert.deepEqual(
    warnings('InterfaceNamePrefix', 'interfaceNamePrefix: a-very-long-prefix'),
    never('interfaceNamePrefix', 18),
  );
  assert.deepEqual(warnings('ClusterCIDR', 'bridgeInterface: a-very-long-name'), []);
  const flags = ['--detect-local-mode=BridgeInterface', '--pod-bridge-interface=a-very-long-name'];
  assert.deepEqual(read([], flags).warnings, never('bridgeInterface', 16));
});

test('the configuration in force has the name without spaces around it, and how pods are recognized', () => {
  const { configuration, nodeName } = read([`${withMode}hostnameOverride: " Node-1 "\n`]);
  assert.deepEqual(
    [configuration.hostnameOverride, nodeName, configuration.detectLocalMode],
    ['Node-1', 'node-1', 'ClusterCIDR'],
  );
  assert.equal(read([], ['--hostname-override= Node-2 ']).configuration.hostnameOverride, 'Node-2');
  assert.equal(read([withMode]).configuration.hostnameOverride, '');
  assert.equal(read([`${withMode}detectLocalMode: NodeCIDR\n`]).configuration.detectLocalMode, 'NodeCIDR');
});

test('unknown schedulers and feature gates warn and pass', () => {
  const { warnings, scheduler } = read([
    `${withMode}ipvs: {scheduler: magic}\nfeatureGates: {AllowServiceExternalIP: true}\n`,
  ]);
  assert.equal(scheduler, 'magic');
  assert.match(
    warnings.join('\n'),
    /feature gate AllowServiceExternalIP is unknown.*did you mean AllowServiceExternalIPs\?/,
  );
  assert.match(warnings.join('\n'), /scheduler magic is not a known Linux scheduler/);
});

test('gates that nothing here depends on are named; AllBeta counts for gates of that stage that are not named', () => {
  assert.deepEqual(
    read([`${withMode}featureGates: {NativeHistograms: true, ContextualLogging: true}\n`]).warnings,
    ['feature gate NativeHistograms has no effect: nothing in kube-ipvs depends on it'],
  );
  assert.deepEqual(
    read([
      `${withMode}featureGates: {KubeProxyIPVS: false, NFTablesProxyMode: true, WatchListClient: false}\n`,
    ]).warnings,
    [
      'feature gate KubeProxyIPVS has no effect: kube-ipvs has the mode ipvs only',
      'feature gate NFTablesProxyMode has no effect: kube-ipvs has the mode ipvs only',
      'feature gate WatchListClient has no effect: kube-ipvs does not use the Go client',
    ],
  );
  assert.deepEqual(read([`${withMode}featureGates: {KubeProxyIPVS: true}\n`]).warnings, []);
  const json = `${withMode}logging: {format: json}\nfeatureGates: `;
  assert.equal(read([`${json}{AllBeta: false, LoggingBetaOptions: true}\n`]).logFormat, 'json');
  assert.equal(
    failure([`${json}{AllBeta: false}\n`]),
    'c0.yaml:4: logging.format must be text while the feature gate LoggingBetaOptions is off; it is "json"',
  );
});

test('our own document stands in the same file or in one of its own', () => {
  const own = `${ownHeader}drain: {deadline: 1m}\n`;
  assert.equal(read([`${withMode}---\n${own}`]).drainDeadlines.TCP, 60_000);
  assert.equal(read([withMode, own]).drainDeadlines.TCP, 60_000);
  assert.deepEqual(read([withMode, `${ownHeader}drain: {udpDeadline: 0s}\n`]).drainDeadlines, {
    TCP: 900_000,
    UDP: 0,
    SCTP: 60_000,
  });
  const accepting = `${ownHeader}forwarding: {acceptInForeignChains: true}\n`;
  assert.equal(read([withMode, accepting]).acceptInForeignChains, true);
  assert.equal(read([withMode, own]).acceptInForeignChains, false);
  const allEndpoints = `${ownHeader}externalTrafficPolicyLocal: {inClusterEndpoints: all}\n`;
  assert.equal(read([withMode, allEndpoints]).inClusterEndpoints, 'all');
  assert.equal(read([withMode, own]).inClusterEndpoints, 'local');
  assert.equal(read([withMode, `${ownHeader}nodePorts: {sharing: true}\n`]).nodePortSharing, true);
  assert.equal(read([withMode, own]).nodePortSharing, false);
  assert.equal(read([withMode, `${ownHeader}vips: {binding: route}\n`]).vipBinding, 'route');
  assert.equal(read([withMode, own]).vipBinding, 'address');
  assert.equal(read([withMode, `${ownHeader}weights: {by: cpu-request}\n`]).weightBy, 'cpu-request');
  assert.equal(read([withMode, own]).weightBy, 'none');
  const page = (enabled: string, address: string) =>
    read([`${withMode}metricsBindAddress: "${address}"\n`, `${ownHeader}page: {enabled: ${enabled}}\n`])
      .pageEnabled;
  assert.equal(page('loopback', '127.0.0.1:10249'), true);
  assert.equal(page('loopback', '[::1]:10249'), true);
  assert.equal(page('loopback', '0.0.0.0:10249'), false);
  assert.equal(page('loopback', '[::]:10249'), false);
  assert.equal(page('true', '0.0.0.0:10249'), true);
  assert.equal(page('false', '127.0.0.1:10249'), false);
  assert.equal(read([own], ['--ipvs-scheduler=lc']).scheduler, 'lc', 'flags count beside our document alone');
  assert.deepEqual(read([withMode, `${ownHeader}drian: {}\n`]).warnings, [
    'c1.yaml:3: drian is unknown and ignored; did you mean drain?',
  ]);
  assert.equal(
    failure([withMode, `${ownHeader}drain: {deadline: -1s}\n`]),
    'c1.yaml:3: drain.deadline must be 0s (no draining) or more; it is "-1s"',
  );
  assert.equal(
    failure([withMode, `${ownHeader}drain: {sctpDeadline: -1s}\n`]),
    'c1.yaml:3: drain.sctpDeadline must be 0s (no draining) or more; it is "-1s"',
  );
  assert.equal(
    failure([withMode, `${ownHeader}services: {slowStart: -1s, quarantine: 30}\n`]),
    'c1.yaml:3: services.slowStart must be 0s (off) or more; it is "-1s"',
  );
  assert.deepEqual(read([withMode, `${ownHeader}services: {slowStart: 1m, quarantine: 30s}\n`]).pace, {
    slowStartMilliseconds: 60_000,
    quarantineMilliseconds: 30_000,
  });
  assert.equal(
    failure([withMode, `${ownHeader}vips: {binding: both}\n`]),
    'c1.yaml:3: vips.binding must be address or route; it is "both"',
  );
  assert.equal(
    failure([withMode, `${ownHeader}weights: {by: memory}\n`]),
    'c1.yaml:3: weights.by must be one of none, pod, cpu-request, zone; it is "memory"',
    failure([withMode, `${ownHeader}page: {enabled: maybe}\n`]),
    'c1.yaml:3: page.enabled must be true, false or loopback; it is "maybe"',
  );
  assert.equal(
    failure([withMode, `${ownHeader}serviceProxyName: a/b\n`]),
    'c1.yaml:3: serviceProxyName must be a value of the label service.kubernetes.io/service-proxy-name: at most 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends; it is "a/b"',
  );
});

test('services chooses the settings of Services without annotations', () => {
  const services = (fields: string): string => `${ownHeader}services: {${fields}}\n`;
  const all =
    'scheduler: sh, flags: [sh-port], persistenceTimeout: 1m, persistenceNetmask: "/24,/64", upperThreshold: 9, lowerThreshold: 5, onFull: refuse';
  const { scheduler, serviceDefaults } = read([withMode, services(all)]);
  assert.equal(scheduler, 'sh');
  assert.deepEqual(serviceDefaults, {
    flags: ['sh-port'],
    persistenceSeconds: 60,
    persistencePrefixLengths: { IPv4: 24, IPv6: 64 },
    upperThreshold: 9,
    lowerThreshold: 5,
    onFull: 'refuse',
  });
  assert.equal(read([`${withMode}ipvs: {scheduler: lc}\n`, services('')]).scheduler, 'lc');
  assert.deepEqual(read([withMode, services('flags: []')]).serviceDefaults.flags, []);
  for (const [fields, problem] of [
    [
      'flags: [fast]',
      'flags[0] must be one of sh-fallback, sh-port, mh-fallback, mh-port, one-packet; it is "fast"',
    ],
    ['flags: sh-port', 'flags must be a list; it is "sh-port"'],
    ['onFull: drop', 'onFull must be one of another, refuse; it is "drop"'],
    ['upperThreshold: -1', 'upperThreshold must be a whole number of 0 or more; it is -1'],
    [
      'upperThreshold: 4, lowerThreshold: 5',
      'lowerThreshold must be at most services.upperThreshold, which is 4; it is 5',
    ],
    [
      'persistenceTimeout: 745h',
      'persistenceTimeout must be whole seconds, at most 744h, or 0s for no persistence; it is "745h"',
    ],
  ] as const)
    assert.equal(failure([withMode, services(fields)]), `c1.yaml:3: services.${problem}`);
  assert.match(
    failure([withMode, services('persistenceNetmask: wide')]),
    /c1.yaml:3: services.persistenceNetmask must be an IPv4/,
  );
});

test('metrics of single Services can be turned off and bounded', () => {
  const perService = (fields: string) =>
    read([withMode, `${ownHeader}metrics: {perService: ${fields}}\n`]).perServiceMetrics;
  assert.deepEqual(perService('{}'), { enabled: true, maximum: 500 });
  assert.deepEqual(perService('{enabled: false, maximum: 20}'), { enabled: false, maximum: 20 });
  assert.equal(
    failure([withMode, `${ownHeader}metrics: {perService: {maximum: 0}}\n`]),
    'c1.yaml:3: metrics.perService.maximum must be a whole number from 1 to 100000; it is 0',
  );
});

test('metrics of endpoints are off, and can be turned on for some Services', () => {
  const backends = (fields: string) => `${ownHeader}metrics: {backends: ${fields}}\n`;
  assert.deepEqual(read([withMode, backends('{}')]).backendMetrics, {
    enabled: false,
    maximumSeries: 9_000,
    services: ['*/*'],
  });
  assert.deepEqual(
    read([withMode, backends('{enabled: true, maximumSeries: 90, services: ["shop/*", "*/dns"]}')])
      .backendMetrics,
    { enabled: true, maximumSeries: 90, services: ['shop/*', '*/dns'] },
  );
  assert.equal(
    failure([withMode, backends('{maximumSeries: 3, services: [web]}')]),
    'c1.yaml:3: metrics.backends.maximumSeries must be a whole number from 9 to 1000000; it is 3\n' +
      'c1.yaml:3: metrics.backends.services[0] must be a namespace and a name of Services, in which * stands for any characters, such as "shop/*"; it is "web"',
  );
});

test('other kinds, two of a kind, empty files and broken YAML are refused with their place', () => {
  assert.match(
    failure(['apiVersion: v1\nkind: ConfigMap\n']),
    /^c0\.yaml:2: a configuration file must contain .* this document has apiVersion: "v1", kind: "ConfigMap"$/,
  );
  assert.match(failure(['mode: ipvs\n']), /^c0\.yaml:1: a configuration file must contain .*kind: null$/);
  assert.equal(
    failure([withMode, withMode]),
    'c1.yaml:1: a second KubeProxyConfiguration; the first is at c0.yaml:1',
  );
  assert.equal(failure(['# nothing\n']), 'c0.yaml: no configuration: the file is empty');
  assert.match(failure([`${withMode}ipvs: {a: [\n`]), /^c0\.yaml: line \d: /);
});

test("primary is the Node's first address of each family, or bindAddress", () => {
  const ip = (text: string) => parseIp(text) ?? assert.fail(text);
  const nodeAddresses = [ip('10.0.0.5'), ip('10.0.0.6'), ip('fd00::5')];
  const networks = (argv: readonly string[], addresses = nodeAddresses) =>
    nodePortNetworks(read([], argv), addresses).map(({ text }) => text);
  assert.deepEqual(networks(['--nodeport-addresses=primary']), ['10.0.0.5/32', 'fd00::5/128']);
  assert.deepEqual(networks(['--nodeport-addresses=primary', '--bind-address=10.9.9.9']), [
    '10.9.9.9/32',
    'fd00::5/128',
  ]);
  assert.deepEqual(networks(['--nodeport-addresses=primary'], [ip('127.0.0.1')]), []);
  assert.deepEqual(networks(['--nodeport-addresses=10.0.0.0/8,fd00::/8']), ['10.0.0.0/8', 'fd00::/8']);
});
