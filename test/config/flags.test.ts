import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InputError } from '../../src/base/errors.js';
import { formatDuration, parseDuration } from '../../src/base/duration.js';
import { flagTable } from '../../src/config/flag-table.js';
import { parseFlags, UsageError } from '../../src/config/parse-flags.js';
import { readKubeProxyConfiguration } from '../../src/config/schema/kube-proxy-configuration.js';
import { nearest } from '../../src/config/nearest.js';
import { resolveSettings, type Settings } from '../../src/config/settings.js';

const header = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\n';

const settings = (argv: readonly string[], text?: string): Settings =>
  resolveSettings({
    flags: parseFlags(argv),
    files: text === undefined ? [] : [{ name: 'c.yaml', text }],
    hostname: 'machine',
  });

const failure = (argv: readonly string[], text?: string): InputError => {
  try {
    settings(argv, text);
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
  return assert.fail('was taken');
};

/** kube-proxy-ipvs §1.2: each flag with a text, the field it sets, and the value that the field then has. */
const flagSets: readonly (readonly [string, string, unknown])[] = [
  [
    '--feature-gates=AllowServiceExternalIPs=false,AllAlpha=true',
    'featureGates',
    { AllowServiceExternalIPs: false, AllAlpha: true },
  ],
  ['--kubeconfig=/k', 'clientConnection.kubeconfig', '/k'],
  ['--kube-api-content-type=application/json', 'clientConnection.contentType', 'application/json'],
  ['--kube-api-qps=2.5', 'clientConnection.qps', 2.5],
  ['--kube-api-burst=0', 'clientConnection.burst', 10],
  ['--logging-format=json', 'logging.format', 'json'],
  ['--log-flush-frequency=1s', 'logging.flushFrequency', 1000],
  ['--v=4', 'logging.verbosity', 4],
  [
    '--vmodule=a*=2,b=3',
    'logging.vmodule',
    [
      { filePattern: 'a*', verbosity: 2 },
      { filePattern: 'b', verbosity: 3 },
    ],
  ],
  ['--log-text-split-stream=false', 'logging.options.text.splitStream', false],
  ['--log-json-split-stream=false', 'logging.options.json.splitStream', false],
  ['--log-text-info-buffer-size=0', 'logging.options.text.infoBufferSize', '0'],
  ['--log-json-info-buffer-size=0Ki', 'logging.options.json.infoBufferSize', '0Ki'],
  ['--hostname-override=Node', 'hostnameOverride', 'Node'],
  ['--bind-address=::', 'bindAddress', '::'],
  ['--healthz-bind-address=[::]:1', 'healthzBindAddress', '[::]:1'],
  ['--metrics-bind-address=1.2.3.4', 'metricsBindAddress', '1.2.3.4:10249'],
  ['--bind-address-hard-fail', 'bindAddressHardFail', true],
  ['--profiling', 'enableProfiling', true],
  ['--show-hidden-metrics-for-version=1.35', 'showHiddenMetricsForVersion', '1.35'],
  ['--proxy-mode=ipvs', 'mode', 'ipvs'],
  ['--iptables-masquerade-bit=7', 'iptables.masqueradeBit', 7],
  ['--masquerade-all', 'iptables.masqueradeAll', true],
  ['--iptables-localhost-nodeports=false', 'iptables.localhostNodePorts', false],
  ['--iptables-sync-period=1m', 'iptables.syncPeriod', 60_000],
  ['--iptables-min-sync-period=2s', 'iptables.minSyncPeriod', 2000],
  ['--ipvs-sync-period=1m30s', 'ipvs.syncPeriod', 90_000],
  ['--ipvs-min-sync-period=0', 'ipvs.minSyncPeriod', 0],
  ['--ipvs-scheduler=sh', 'ipvs.scheduler', 'sh'],
  [
    '--ipvs-exclude-cidrs=10.0.0.0/8',
    'ipvs.excludeCIDRs',
    [{ text: '10.0.0.0/8', address: '10.0.0.0', prefixLength: 8 }],
  ],
  ['--ipvs-strict-arp', 'ipvs.strictARP', true],
  ['--ipvs-tcp-timeout=1h', 'ipvs.tcpTimeout', 3_600_000],
  ['--ipvs-tcpfin-timeout=2m', 'ipvs.tcpFinTimeout', 120_000],
  ['--ipvs-udp-timeout=100ms', 'ipvs.udpTimeout', 100],
  ['--detect-local-mode=NodeCIDR', 'detectLocalMode', 'NodeCIDR'],
  ['--pod-bridge-interface=cni0', 'detectLocal.bridgeInterface', 'cni0'],
  ['--pod-interface-name-prefix=veth', 'detectLocal.interfaceNamePrefix', 'veth'],
  ['--cluster-cidr=10.0.0.0/8,fd00::/64', 'clusterCIDR', '10.0.0.0/8,fd00::/64'],
  ['--nodeport-addresses=primary', 'nodePortAddresses', ['primary']],
  ['--oom-score-adj=-5', 'oomScoreAdj', -5],
  ['--conntrack-max-per-core=0', 'conntrack.maxPerCore', 0],
  ['--conntrack-min=1', 'conntrack.min', 1],
  ['--conntrack-tcp-timeout-established=1h', 'conntrack.tcpEstablishedTimeout', 3_600_000],
  ['--conntrack-tcp-timeout-close-wait=1m', 'conntrack.tcpCloseWaitTimeout', 60_000],
  ['--conntrack-tcp-be-liberal', 'conntrack.tcpBeLiberal', true],
  ['--conntrack-udp-timeout=1s', 'conntrack.udpTimeout', 1000],
  ['--conntrack-udp-timeout-stream=2s', 'conntrack.udpStreamTimeout', 2000],
  ['--config-sync-period=1m', 'configSyncPeriod', 60_000],
];

const at = (value: unknown, field: string): unknown =>
  field.split('.').reduce<unknown>((inner, step) => (inner as Record<string, unknown>)[step], value);

for (const [flag, field, value] of flagSets)
  test(`${flag} sets ${field}`, () => {
    assert.deepEqual(at(settings([flag]).configuration, field), value);
  });

test('the table above has every flag that has a field', () => {
  const tested = flagSets.map(([flag]) => flag.replace(/^--/, '').split('=')[0]);
  const known = flagTable.filter(({ field }) => field !== undefined).map(({ name }) => name);
  assert.deepEqual(new Set(tested), new Set(known));
});

test('every field that a flag names exists', () => {
  const defaults = readKubeProxyConfiguration({}).value;
  for (const { field } of flagTable)
    if (field !== undefined) assert.notEqual(at(defaults, field), undefined, field);
});

test('flags are written as Go programs take them', () => {
  for (const argv of [
    ['--ipvs-scheduler=lc', '-v', '3', '--once'],
    ['--ipvs_scheduler', 'lc', '-v=3', '--once=true'],
    ['--ipvs-scheduler=rr', '--ipvs-scheduler=lc', '-v3', '--once=1', '--dry_run=false'],
    ['--ipvs-scheduler', 'lc', '--v', '3', '--once=T'],
  ]) {
    const { scheduler, verbosity, once, dryRun } = settings(argv);
    assert.deepEqual([scheduler, verbosity, once, dryRun], ['lc', 3, true, false]);
  }
});

test('lists add up over commas and repetition', () => {
  const { excludeCidrs } = settings([
    '--ipvs-exclude-cidrs=10.0.0.0/8,11.0.0.0/8',
    '--ipvs-exclude-cidrs',
    'fd00::/8',
  ]);
  assert.deepEqual(
    excludeCidrs.map(({ text }) => text),
    ['10.0.0.0/8', '11.0.0.0/8', 'fd00::/8'],
  );
});

test('deprecated ports give the addresses their port, warn, and count for nothing beside a file', () => {
  const without = settings(['--healthz-port=1234', '--metrics-port=1235']);
  assert.deepEqual(
    [without.configuration.healthzBindAddress, without.configuration.metricsBindAddress],
    ['0.0.0.0:1234', '127.0.0.1:1235'],
  );
  assert.deepEqual(without.warnings, [
    '--healthz-port is deprecated; use --healthz-bind-address=IP:PORT',
    '--metrics-port is deprecated; use --metrics-bind-address=IP:PORT',
  ]);
  const bound = settings(['--healthz-bind-address=127.0.0.1:1', '--healthz-port=2']).configuration;
  assert.equal(bound.healthzBindAddress, '127.0.0.1:1', 'an address with a port keeps it');
  assert.equal(settings(['--healthz-port=0'], header).configuration.healthzBindAddress, '0.0.0.0:10256');
});

test('our own flags', () => {
  assert.deepEqual(settings(['--source=api']).source, { from: 'api' });
  assert.deepEqual(settings(['--source=manifests/']).source, { from: 'manifests', path: 'manifests/' });
  assert.equal(settings(['--dry-run']).dryRun, true);
  assert.equal(settings(['--init-only']).initOnly, true);
  assert.equal(settings(['--write-config-to=/f']).writeConfigTo, '/f');
  assert.equal(settings(['--master=https://m:6443']).master, 'https://m:6443');
});

/** Called wrongly: exit status 2. */
const usageErrors: readonly (readonly [readonly string[], string])[] = [
  [['--ipvs-schedulr=lc'], 'unknown flag --ipvs-schedulr; did you mean --ipvs-scheduler?'],
  [['--host_name_override=x'], 'unknown flag --host_name_override; did you mean --hostname-override?'],
  [['--zzzzzz'], 'unknown flag --zzzzzz; `kube-ipvs --help` lists all flags'],
  [['-config=x'], 'unknown flag -config=x; flags have two dashes: --config=x'],
  [['-x'], 'unknown flag -x; `kube-ipvs --help` lists all flags'],
  [
    ['--once', 'yes'],
    'unexpected argument "yes": the daemon takes flags only; `kube-ipvs --help` shows all commands',
  ],
  [['--ipvs-scheduler'], '--ipvs-scheduler needs a value: --ipvs-scheduler=NAME'],
  [['--once=maybe'], '--once must be true or false, not "maybe"'],
  [['--feature-gates=A'], '--feature-gates must be GATE=true,…, and "A" has no "="'],
  [['--init-only=maybe'], '--init-only must be true or false, not "maybe"'],
];

for (const [argv, message] of usageErrors)
  test(`called wrongly: ${argv.join(' ')}`, () => {
    const error = failure(argv);
    assert.equal(error.message, message);
    assert.ok(error instanceof UsageError);
  });

/** A wrong value: exit status 1, as kube-proxy. */
const wrongValues: readonly (readonly [readonly string[], string])[] = [
  [['--oom-score-adj=2000'], '--oom-score-adj must be a whole number from -1000 to 1000; it is 2000'],
  [['--conntrack-min=many'], '--conntrack-min must be a whole number of 0 or more; it is "many"'],
  [['--ipvs-strict-arp=maybe'], '--ipvs-strict-arp must be true or false; it is "maybe"'],
  [
    ['--ipvs-exclude-cidrs=10.0.0.0/8,x'],
    '--ipvs-exclude-cidrs must be a network, such as "10.0.0.0/8" or "fd00::/64"; it is "x"',
  ],
  [
    ['--ipvs-sync-period=500ms'],
    '--ipvs-sync-period must be at least ipvs.minSyncPeriod, which is 1s; it is "500ms"',
  ],
  [['--metrics-port=0'], '--metrics-port must be IP:port, such as "0.0.0.0:10256" or "[::]:10256"'],
  [
    ['--proxy-mode=iptables'],
    '--proxy-mode must be ipvs; it is "iptables". kube-ipvs replaces kube-proxy in IPVS mode only: ' +
      'set "mode: ipvs" (without a file: --proxy-mode=ipvs) to use it on this node, or keep kube-proxy here',
  ],
  [
    ['--hostname-override= '],
    '--hostname-override must not be blank; omit it to use the host name; it is " "',
  ],
];

for (const [argv, message] of wrongValues)
  test(`a wrong value: ${argv.join(' ')}`, () => {
    const error = failure(argv);
    assert.equal(error.message, message);
    assert.ok(!(error instanceof UsageError));
  });

test('beside a file only the flags of §1.3 count, and the others are named', () => {
  const { scheduler, nodeName, verbosity, master, configuration, warnings } = settings(
    [
      '--ipvs-scheduler=lc',
      '--hostname-override=N',
      '-v=3',
      '--master=m',
      '--proxy-mode=iptables',
      '--vmodule=a=1',
    ],
    `${header}hostnameOverride: other\nlogging: {verbosity: 1, vmodule: [{filePattern: b, verbosity: 2}]}\n`,
  );
  assert.deepEqual([scheduler, nodeName, verbosity, master], ['rr', 'n', 3, 'm']);
  assert.deepEqual(
    configuration.logging.vmodule.map(({ filePattern }) => filePattern),
    ['a', 'b'],
  );
  assert.deepEqual(warnings.slice(0, 1), [
    'ignored, because the fields of the configuration file apply: --proxy-mode, --ipvs-scheduler; set them in c.yaml:1',
  ]);
});

test('a flag that says what the file says too is not worth a word', () => {
  const file = `${header}ipvs: {scheduler: lc}\n`;
  const same = ['--proxy-mode=ipvs', '--ipvs-scheduler=lc'];
  assert.deepEqual(settings(same, file).warnings, []);
});

test('a flag beside a file is blamed for its value, the file for its own', () => {
  assert.equal(failure(['-v=x'], header).message, '--v must be a whole number of 0 or more; it is "x"');
  assert.equal(
    failure(['-v=1'], `${header}oomScoreAdj: x\n`).message,
    'c.yaml:4: oomScoreAdj must be a whole number from -1000 to 1000; it is "x"',
  );
});

test("durations are read in Go's syntax and written in it", () => {
  const cases: readonly (readonly [string, number | undefined])[] = [
    ['30s', 30_000],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['-5ms', -5],
    ['0', 0],
    ['+1s', 1000],
    ['100us', 0.1],
    ['100µs', 0.1],
    ['.5s', 500],
    ['', undefined],
    ['5', undefined],
    ['5 s', undefined],
    ['s', undefined],
    ['1d', undefined],
  ];
  for (const [text, milliseconds] of cases) assert.equal(parseDuration(text), milliseconds, text);
  for (const text of ['0s', '100µs', '5ms', '30s', '1m30s', '1h0m0s', '1h0m0.5s', '-2m0s'])
    assert.equal(formatDuration(parseDuration(text) ?? Number.NaN), text);
});

test('the nearest name is found over a wrong, missing, added or swapped letter, and nothing far', () => {
  const names = ['scheduler', 'syncPeriod', 'strictARP'];
  for (const word of ['schedular', 'scheduer', 'schedulerr', 'shceduler', 'SCHEDULER'])
    assert.equal(nearest(word, names), 'scheduler');
  assert.equal(nearest('mode', names), undefined);
});

test('the instance is that of the flag, else of the file, else of the environment; its socket follows it', () => {
  const nameOf = (argv: readonly string[], inFile = '', environment = {}) => {
    const text = `apiVersion: kube-ipvs.dev/v1alpha1\nkind: KubeIpvsConfiguration\nserviceProxyName: "${inFile}"\n`;
    const files = [{ name: 'f.yaml', text }];
    const settings = resolveSettings({ flags: parseFlags(argv), files, hostname: 'h', environment });
    assert.equal(settings.kubeIpvs.serviceProxyName, settings.names.serviceProxyName);
    return settings.names.serviceProxyName;
  };
  const environment = { KUBE_IPVS_SERVICE_PROXY_NAME: 'e' };
  assert.equal(nameOf([]), '');
  assert.equal(nameOf([], '', environment), 'e');
  assert.equal(nameOf([], 'f', environment), 'f');
  assert.equal(nameOf(['--service-proxy-name=g'], 'f', environment), 'g');
  const settings = resolveSettings({
    flags: parseFlags(['--service-proxy-name=g']),
    files: [],
    hostname: 'h',
  });
  assert.equal(settings.adminSocket, '/run/kube-ipvs/admin-g.sock');
  assert.throws(() => nameOf(['--service-proxy-name=a/b']), /--service-proxy-name: "a\/b" must be a value/);
  assert.throws(
    () => nameOf([], '', { KUBE_IPVS_SERVICE_PROXY_NAME: '-' }),
    /\$KUBE_IPVS_SERVICE_PROXY_NAME: "-" must be a value/,
  );
});

test('the admin socket is where the flag says, else the environment, else at its own place', () => {
  const pathOf = (argv: readonly string[], environment?: Readonly<Record<string, string>>): string =>
    resolveSettings({
      flags: parseFlags(argv),
      files: [],
      hostname: 'h',
      ...(environment && { environment }),
    }).adminSocket;
  const environment = { KUBE_IPVS_ADMIN_SOCKET: '/tmp/e.sock' };
  assert.equal(pathOf([]), '/run/kube-ipvs/admin.sock');
  assert.equal(pathOf([], environment), '/tmp/e.sock');
  assert.equal(pathOf(['--admin-socket=/tmp/f.sock'], environment), '/tmp/f.sock');
  assert.equal(pathOf(['--admin-socket='], environment), '');
});
