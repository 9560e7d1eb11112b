import { defaultInstance } from '../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseFlags } from '../../src/config/parse-flags.js';
import { resolveSettings, type Settings } from '../../src/config/settings.js';

const header = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n';

const settings = (argv: readonly string[], ...texts: readonly string[]): Settings =>
  resolveSettings({
    flags: parseFlags(argv),
    files: texts.map((text, index) => ({ name: `config${index}.yaml`, text })),
    hostname: 'Machine-1.Example ',
  });

const hour = 3_600_000;

/** kube-proxy-ipvs §1.2, the column "default (file)", durations in milliseconds. */
const fileDefaults = {
  apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
  kind: 'KubeProxyConfiguration',
  featureGates: {},
  clientConnection: {
    kubeconfig: '',
    acceptContentTypes: '',
    contentType: 'application/vnd.kubernetes.protobuf',
    qps: 5,
    burst: 10,
  },
  logging: {
    format: 'text',
    flushFrequency: 5000,
    verbosity: 0,
    vmodule: [],
    options: {
      text: { splitStream: false, infoBufferSize: '0' },
      json: { splitStream: false, infoBufferSize: '0' },
    },
  },
  hostnameOverride: '',
  bindAddress: '0.0.0.0',
  healthzBindAddress: '0.0.0.0:10256',
  metricsBindAddress: '127.0.0.1:10249',
  bindAddressHardFail: false,
  enableProfiling: false,
  showHiddenMetricsForVersion: '',
  mode: 'ipvs',
  ipvs: {
    scheduler: '',
    syncPeriod: 30_000,
    minSyncPeriod: 0,
    excludeCIDRs: [],
    strictARP: false,
    tcpTimeout: 0,
    tcpFinTimeout: 0,
    udpTimeout: 0,
  },
  iptables: {
    masqueradeBit: 14,
    masqueradeAll: false,
    localhostNodePorts: true,
    syncPeriod: 30_000,
    minSyncPeriod: 1000,
  },
  nftables: { masqueradeBit: 14, masqueradeAll: false, syncPeriod: 30_000, minSyncPeriod: 1000 },
  winkernel: {
    networkName: '',
    sourceVip: '',
    enableDSR: false,
    rootHnsEndpointName: '',
    forwardHealthCheckVip: false,
  },
  detectLocalMode: 'ClusterCIDR',
  detectLocal: { bridgeInterface: '', interfaceNamePrefix: '' },
  clusterCIDR: '',
  nodePortAddresses: [],
  oomScoreAdj: -999,
  conntrack: {
    maxPerCore: 32_768,
    min: 131_072,
    tcpEstablishedTimeout: 24 * hour,
    tcpCloseWaitTimeout: hour,
    tcpBeLiberal: false,
    udpTimeout: 0,
    udpStreamTimeout: 0,
  },
  configSyncPeriod: 900_000,
  portRange: '',
  windowsRunAsService: false,
};

const kubeIpvsDefaults = {
  connectionSync: {
    interface: '',
    group: 1,
    port: 8848,
    ipFamily: 'IPv4',
    ttl: 1,
    affinityOnly: false,
    refreshPeriod: 10_000,
    retries: 0,
    packetThreshold: 3,
    packetInterval: 0,
    threads: 1,
    queueLength: 0,
    socketBufferSize: 0,
  },
  kernel: {
    estimatorCpuList: '',
    estimatorNice: null,
    connectionLoadFactor: null,
    serviceLoadFactor: null,
  },
};

test('a file that says only its mode has the defaults of a file', () => {
  assert.deepEqual(settings([], `${header}mode: ipvs\n`).configuration, fileDefaults);
});

test('flags alone have the defaults of flags: ipvs, and 1s between syncs', () => {
  const { configuration, ...rest } = settings([]);
  assert.deepEqual(configuration, {
    ...fileDefaults,
    apiVersion: '',
    kind: '',
    ipvs: { ...fileDefaults.ipvs, minSyncPeriod: 1000 },
  });
  assert.deepEqual(rest, {
    nodeName: 'machine-1.example',
    source: { from: 'api' },
    once: false,
    dryRun: false,
    initOnly: false,
    writeConfigTo: undefined,
    names: defaultInstance,
    adminSocket: '/run/kube-ipvs/admin.sock',
    scheduler: 'rr',
    syncPeriod: 30_000,
    minSyncPeriod: 1000,
    excludeCidrs: [],
    strictArp: false,
    tcpTimeout: 0,
    tcpFinTimeout: 0,
    udpTimeout: 0,
    nodePortAddresses: [],
    clusterCidrs: [],
    podDetection: { mode: 'ClusterCIDR' },
    masqueradeAll: false,
    masqueradeMark: 0x4000,
    conntrack: fileDefaults.conntrack,
    externalIpsAllowed: true,
    drainDeadlines: { TCP: 900_000, UDP: 5_000, SCTP: 60_000 },
    pace: { slowStartMilliseconds: 0, quarantineMilliseconds: 0 },
    perServiceMetrics: { enabled: true, maximum: 500 },
    backendMetrics: { enabled: false, maximumSeries: 9_000, services: ['*/*'] },
    acceptInForeignChains: false,
    serviceDefaults: {
      flags: undefined,
      persistenceSeconds: 0,
      persistencePrefixLengths: undefined,
      upperThreshold: 0,
      lowerThreshold: 0,
      onFull: undefined,
    },
    vipBinding: 'address',
    connectionSync: undefined,
    kernelTuning: kubeIpvsDefaults.kernel,
    weightBy: 'none',
    inClusterEndpoints: 'local',
    nodePortSharing: false,
    pageEnabled: true,
    kubeconfig: undefined,
    master: undefined,
    qps: 5,
    burst: 10,
    protobuf: true,
    verbosity: 0,
    logFormat: 'text',
    oomScoreAdj: -999,
    configFiles: [],
    flags: new Map(),
    warnings: [],
    kubeIpvs: {
      apiVersion: '',
      kind: '',
      drain: { deadline: 900_000, udpDeadline: 5_000, sctpDeadline: 60_000 },
      metrics: {
        perService: { enabled: true, maximum: 500 },
        backends: { enabled: false, maximumSeries: 9_000, services: ['*/*'] },
      },
      externalTrafficPolicyLocal: { inClusterEndpoints: 'local' },
      nodePorts: { sharing: false },
      forwarding: { acceptInForeignChains: false },
      page: { enabled: 'loopback' },
      services: {
        scheduler: '',
        flags: null,
        persistenceTimeout: 0,
        persistenceNetmask: '',
        upperThreshold: 0,
        lowerThreshold: 0,
        onFull: '',
        slowStart: 0,
        quarantine: 0,
      },
      vips: { binding: 'address' },
      ...kubeIpvsDefaults,
      weights: { by: 'none' },
      serviceProxyName: '',
    },
  });
});

test("kubeadm's config, its mode set to ipvs, has the defaults too, and nothing to warn of", () => {
  const file = new URL('../../../test/fixtures/config/kubeadm-config.conf', import.meta.url);
  const text = readFileSync(file, 'utf8');
  const { configuration, warnings } = settings([], text.replace('mode: ""', 'mode: ipvs'));
  assert.deepEqual(configuration, {
    ...fileDefaults,
    clusterCIDR: '10.244.0.0/16',
    clientConnection: {
      ...fileDefaults.clientConnection,
      kubeconfig: '/var/lib/kube-proxy/kubeconfig.conf',
    },
  });
  assert.deepEqual(warnings, []);
  assert.throws(() => settings([], text), /^InputError: config0\.yaml:52: mode must be ipvs; it is ""\. /);
});

test('listeners default to IPv6 where bindAddress is IPv6, in a file only', () => {
  const listeners = ({ configuration }: Settings) => [
    configuration.healthzBindAddress,
    configuration.metricsBindAddress,
  ];
  assert.deepEqual(listeners(settings([], `${header}mode: ipvs\nbindAddress: "::"\n`)), [
    '[::]:10256',
    '[::1]:10249',
  ]);
  assert.deepEqual(listeners(settings(['--bind-address=::'])), ['0.0.0.0:10256', '127.0.0.1:10249']);
  assert.deepEqual(listeners(settings([], `${header}mode: ipvs\nhealthzBindAddress: 1.2.3.4\n`)), [
    '1.2.3.4:10256',
    '127.0.0.1:10249',
  ]);
  assert.deepEqual(listeners(settings(['--healthz-port=0', '--metrics-bind-address='])), [
    '',
    '127.0.0.1:10249',
  ]);
  assert.deepEqual(listeners(settings(['--healthz-bind-address=fd00::1', '--healthz-port=7'])), [
    '[fd00::1]:7',
    '127.0.0.1:10249',
  ]);
});

test('settings are frozen all the way down', () => {
  const frozen = settings(['--ipvs-exclude-cidrs=10.0.0.0/8']);
  assert.ok(Object.isFrozen(frozen) && Object.isFrozen(frozen.configuration.ipvs));
  assert.ok(Object.isFrozen(frozen.excludeCidrs[0]));
});
