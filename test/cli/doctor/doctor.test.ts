import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { doctorText, wrapLines } from '../../../src/cli/doctor/doctor-text.js';
import { seeChecks } from '../../../src/doctor/remedy.js';
import { checks, evaluateChecks } from '../../../src/doctor/all-checks.js';
import { cases } from '../../doctor/check-cases.js';
import { blindFacts, goodFacts, numbers } from '../../support/doctor-facts.js';
import { runProgramSync } from '../../support/program-thread.js';

const main = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'doctor-cli-'));
after(() => rmSync(folder, { recursive: true }));

const run = (...args: readonly string[]) => runProgramSync(main, ['doctor', ...args]);

const chosen = checks.filter(({ id }) => ['ipvs', 'vs-conntrack', 'local-ports', 'drift'].includes(id));
const facts = {
  ...goodFacts,
  kernelSettings: numbers({ 'net.ipv4.vs.conntrack': 0 }),
  localPorts: { value: { first: 1024, last: 65_535, reserved: '' } },
  metrics: { unavailable: 'cannot connect to 127.0.0.1:10249', remedies: [seeChecks('daemon')] },
} as const;

test('the table shows each check, and for problems why they matter and what to do', () => {
  assert.equal(
    doctorText(evaluateChecks(facts, chosen), false),
    `ipvs
  ✓ pass     ipvs: IPVS 1.2.1, 2 virtual servers, 3 real servers

settings
  ✗ fail     vs-conntrack: net.ipv4.vs.conntrack is 0
             Without it, forwarded connections are neither tracked nor
             masqueraded, and NetworkPolicy does not recognize them.
             → Set net.ipv4.vs.conntrack to 1. kube-ipvs does so when it starts.
                 sysctl -w net.ipv4.vs.conntrack=1
  ! warn     local-ports: local ports 1024-65535, node ports 30000-32767:
             connections of this node may use a node port as their source port
             If a connection of the node uses a node port as its source port,
             IPVS intercepts the replies.
             → Reserve the node ports.
                 sysctl -w net.ipv4.ip_local_reserved_ports=30000-32767

process
  ? unknown  drift: cannot connect to 127.0.0.1:10249
             → See the check daemon.

4 checks: 1 pass, 1 warn, 1 fail, 1 unknown
`,
  );
});

test('--quiet hides checks that pass, and groups in which all pass', () => {
  const text = doctorText(evaluateChecks(facts, chosen), true);
  assert.doesNotMatch(text, /pass {5}/);
  assert.match(text, /^settings\n/);
  assert.match(text, /\n4 checks: 1 pass, 1 warn, 1 fail, 1 unknown\n$/);
  assert.equal(
    doctorText(evaluateChecks(goodFacts), true),
    `${checks.length} checks: ${checks.length} pass, 0 warn, 0 fail, 0 unknown\n`,
  );
});

test('every text of every check fits into 80 columns, but for commands and long words', () => {
  const outcomes = cases.flatMap(({ id, wrong }) =>
    evaluateChecks(
      { ...goodFacts, ...wrong },
      checks.filter((check) => check.id === id),
    ),
  );
  const lines = doctorText([...outcomes, ...evaluateChecks(blindFacts)], false).split('\n');
  const wide = lines.filter((line) => line.length > 80 && !line.startsWith(' '.repeat(17)));
  assert.deepEqual(wide, []);
  assert.deepEqual(wrapLines('one two three', 7), ['one two', 'three']);
  assert.deepEqual(wrapLines('uncommonly long', 4), ['uncommonly', 'long']);
});

test('-o json prints the checks and a summary', () => {
  const config = join(folder, 'config.conf');
  writeFileSync(
    config,
    'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\nipvs:\n  strictArp: true\n',
  );
  const { status, stdout, stderr } = run(
    `--config=${config}`,
    '--source=examples',
    '--only=configuration',
    '-o',
    'json',
  );
  assert.deepEqual([status, stderr], [0, '']);
  assert.deepEqual(JSON.parse(stdout), {
    checks: [
      {
        id: 'configuration',
        title: 'the configuration',
        why: 'A misspelt field is ignored, and kube-ipvs uses the default instead.',
        group: 'process',
        result: 'warn',
        seen: `${config}:5: ipvs.strictArp is unknown and ignored; did you mean ipvs.strictARP?`,
        remedy: `Correct the configuration, then check it. Run: kube-ipvs config validate ${config}`,
        remedies: [
          {
            advice: 'Correct the configuration, then check it.',
            command: `kube-ipvs config validate ${config}`,
          },
        ],
      },
    ],
    summary: { pass: 0, warn: 1, fail: 0, unknown: 0 },
  });
  assert.equal(run(`--config=${config}`, '--source=examples', '--only=configuration', '--strict').status, 1);
  assert.match(
    run(`--config=${config}`, '--source=examples', '--only=configuration', '-o', 'yaml').stdout,
    /^checks:\n {2}- id: configuration\n/,
  );
});

test('a configuration that is wrong is a check that fails, and the others are made with the defaults', () => {
  const { status, stdout } = run(
    '--config=/nowhere',
    '--source=examples',
    '--only=configuration,kernel',
    '--quiet',
  );
  assert.equal(status, 1);
  assert.match(stdout, /✗ fail {5}configuration: --config=\/nowhere: ENOENT/);
});

test('a source that cannot be read makes only what needs it unknown', () => {
  const { status, stdout } = run(
    '--source=/nowhere',
    '--only=schedulers,memory,kernel-version',
    '-o',
    'json',
  );
  assert.notEqual(status, 2);
  assert.match(stdout, /"id": "kernel-version"/);
});

test('an unknown check: status 2 and a suggestion', () => {
  assert.deepEqual(run('--only=conntrac'), {
    status: 2,
    stdout: '',
    stderr: 'kube-ipvs: --only: unknown check or group "conntrac"; did you mean conntrack?\n',
  });
  assert.match(run('--only=xxxxxxxxxxxx').stderr, /\(the groups are kernel, ipvs, settings, /);
});
