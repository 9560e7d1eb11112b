import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { commands } from '../../src/cli/commands/registry.js';
import { runProgramSync } from '../support/program-thread.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'kube-ipvs-bin-'));
const bin = join(root, 'dist/kube-ipvs.js');

before(() => {
  execFileSync(process.execPath, [join(root, 'scripts/build.mjs')], { stdio: 'ignore' });
});
after(() => rmSync(scratch, { recursive: true }));

const run = (args: readonly string[], options: { readonly bin?: string; readonly input?: string } = {}) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [options.bin ?? bin, ...args], {
    encoding: 'utf8',
    input: options.input ?? '',
    env: { ...process.env, NODE_V8_COVERAGE: '' },
  });
  return { status, stdout, stderr };
};

/** Runs the bundle without a process of its own. */
const runInThread = (args: readonly string[]) => runProgramSync(bin, args);

const file = (name: string, text: string): string => {
  const path = join(scratch, name);
  writeFileSync(path, text);
  return path;
};

test('--help shows examples, groups of flags and exit statuses', () => {
  for (const args of [['--help'], ['-h'], ['help'], ['run', '--help'], ['run', 'help'], ['help', 'run']]) {
    const { status, stdout, stderr } = run(args);
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout, /^Usage: kube-ipvs \[run\]/);
    assert.match(stdout, /Examples:\n.*--config=/);
    assert.match(stdout, /\nIPVS:\n.*--proxy-mode=ipvs/);
    assert.match(stdout, /Exit status: 0 success, 1 error/);
  }
  for (const { name: command } of commands) {
    const { status, stdout } = runInThread([command, '--help']);
    assert.equal(status, 0);
    assert.match(stdout, new RegExp(`^Usage: kube-ipvs ${command} .*Examples:`, 's'));
    assert.match(stdout, /Exit\sstatus:\s0\s/);
    assert.deepEqual(runInThread(['help', command]).stdout, stdout);
    assert.deepEqual(runInThread([command, 'help']).stdout, stdout);
  }
});

test('--version says the version of package.json', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  assert.deepEqual(run(['--version']), { status: 0, stdout: `kube-ipvs v${version}\n`, stderr: '' });
});

test('version tells versions, as data too', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  assert.match(
    run(['version']).stdout,
    new RegExp(`^kube-ipvs v${version} of \\d{4}-\\d\\d-\\d\\d \\(Node\\.js v2`),
  );
  const told = JSON.parse(run(['version', '-o', 'json']).stdout) as Record<string, string>;
  assert.deepEqual([told['version'], told['node']], [version, process.version]);
});

test('an invalid command line exits with status 2 and a suggestion', () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['dmup'], /^kube-ipvs: unknown command 'dmup'\n\(Did you mean dump\?\)/],
    [['dump', '--statss'], /^kube-ipvs: unknown option '--statss'\n\(Did you mean --stats\?\)/],
    [['dump', '-o', 'xml'], /^kube-ipvs: -o: unknown output format "xml" \(expected table, wide, json/],
    [['dump', '-o', 'jsno'], /^kube-ipvs: -o: unknown output format "jsno" .*; did you mean json\?\n$/],
    [
      ['render', '-f', 'x', '-o', 'jsno'],
      /^kube-ipvs: option '-o, --output <format>' argument 'jsno' is invalid\. Did you mean json\? Allowed choices are json, ipvsadm, plan/,
    ],
    [['completion', 'bsh'], /value 'bsh' is invalid for argument 'shell'\. Did you mean bash\?/],
    [['dump', 'a', 'b'], /^kube-ipvs: too many arguments for 'dump'/],
    [['render'], /^kube-ipvs: required option '-f, --filename <path>' not specified/],
    [['--ipvs-schedulr=rr'], /^kube-ipvs: unknown flag --ipvs-schedulr; did you mean --ipvs-scheduler\?\n$/],
  ];
  for (const [args, message] of cases) {
    const { status, stdout, stderr } = run(args);
    assert.deepEqual([status, stdout], [2, ''], args.join(' '));
    assert.match(stderr, message);
  }
});

test('a wrong config ends with status 1 and the file, line, field and value', () => {
  const config = file(
    'config.yaml',
    'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\nipvs:\n  syncPeriod: soon\n',
  );
  const { status, stdout, stderr } = run([`--config=${config}`]);
  assert.deepEqual([status, stdout], [1, '']);
  assert.equal(
    stderr,
    `kube-ipvs: ${config}:5: ipvs.syncPeriod must be a duration, such as "30s", "1m30s" or "500ms" (or a whole number of nanoseconds); it is "soon"\n`,
  );
  assert.match(run(['--config=/nowhere/config']).stderr, /^kube-ipvs: --config=\/nowhere\/config: ENOENT/);
});

test('called as kube-proxy it is the daemon and knows no commands', () => {
  const link = join(scratch, 'kube-proxy');
  symlinkSync(bin, link);
  assert.match(run(['--version'], { bin: link }).stdout, /^kube-ipvs v/);
  const { status, stderr } = run(['dump'], { bin: link });
  assert.equal(status, 2);
  assert.match(stderr, /unexpected argument "dump": the daemon takes flags only/);
});

test('a target by name needs the daemon', () => {
  const { status, stderr } = run(['dump', 'default/my-nginx', '--admin-socket=/nowhere/admin.sock']);
  assert.equal(status, 1);
  assert.match(
    stderr,
    /^kube-ipvs: cannot connect to the kube-ipvs daemon at \/nowhere\/admin\.sock: .*target must be an address/,
  );
});

/** The text of all of our code that a run loads (V8 lists it in its coverage). */
const codeLoadedBy = (args: readonly string[]): string => {
  const folder = mkdtempSync(join(scratch, 'coverage-'));
  spawnSync(process.execPath, [bin, ...args], { env: { ...process.env, NODE_V8_COVERAGE: folder } });
  const urls = readdirSync(folder).flatMap((name) => {
    const { result } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as { result: { url: string }[] };
    return result.map(({ url }) => url).filter((url) => url.startsWith('file:'));
  });
  return urls.map((url) => readFileSync(new URL(url), 'utf8')).join('\n');
};

test('a command loads only what it needs', () => {
  const client = readFileSync(join(root, 'node_modules/@kubernetes/client-node/dist/config.js'), 'utf8');
  assert.ok(client.includes('loadFromCluster'), 'by this word we know the Kubernetes client');
  const help = codeLoadedBy(['dump', '--help']);
  assert.match(help, /Show the IPVS table of the kernel/);
  for (const library of ['ZodType', 'parseAllDocuments', 'pino', 'ip_vs_genl', 'loadFromCluster'])
    assert.ok(!help.includes(library), `dump --help loads ${library}`);
  const dump = codeLoadedBy(['dump', '10.96.0.1']);
  assert.match(dump, /find the generic netlink family|list the virtual servers/);
  for (const library of ['ZodType', 'parseAllDocuments', 'loadFromCluster'])
    assert.ok(!dump.includes(library), `dump loads ${library}`);
});
