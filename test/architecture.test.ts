import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Who may import whom among our own folders. A folder may always import itself. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  'src/base': [],
  'src/model': ['src/nftables', 'src/base'],
  'src/nftables': ['src/base'],
  'src/netlink': ['src/base', 'native-shims'],
  'src/kernel': ['src/netlink', 'src/nftables', 'src/model', 'src/base'],
  'src/watch': ['src/model', 'src/base'],
  'src/plan': ['src/nftables', 'src/model', 'src/base'],
  'src/admin-api': ['src/plan', 'src/nftables', 'src/model', 'src/base'],
  'src/fleet': ['src/admin-api', 'src/plan', 'src/nftables', 'src/model', 'src/base'],
  'src/config': ['src/model', 'src/base'],
  'src/apply': ['src/plan', 'src/kernel', 'src/netlink', 'src/nftables', 'src/model', 'src/base'],
  'src/daemon': [
    'src/config',
    'src/apply',
    'src/plan',
    'src/admin-api',
    'src/watch',
    'src/kernel',
    'src/netlink',
    'src/nftables',
    'src/model',
    'src/base',
  ],
  'src/doctor': [
    'src/config',
    'src/apply',
    'src/plan',
    'src/admin-api',
    'src/watch',
    'src/kernel',
    'src/netlink',
    'src/nftables',
    'src/model',
    'src/base',
  ],
  'src/compare': [
    'src/daemon',
    'src/config',
    'src/apply',
    'src/plan',
    'src/admin-api',
    'src/watch',
    'src/kernel',
    'src/netlink',
    'src/nftables',
    'src/model',
    'src/base',
  ],
  'src/cli': [
    'src/doctor',
    'src/fleet',
    'src/config',
    'src/plan',
    'src/admin-api',
    'src/kernel',
    'src/netlink',
    'src/nftables',
    'src/model',
    'src/base',
  ],
  'src/web': ['src/admin-api', 'src/base'],
  'native-shims': [],
};

/** Single files that may reach further. */
const exceptions: Readonly<Record<string, readonly string[]>> = {
  'src/cli/input/read-objects.ts': ['src/watch/manifests/manifests.ts'],
  'src/cli/start-daemon.ts': ['src/daemon/main.ts'],
  'src/cli/diff/diff.ts': ['src/compare/compare-with-daemon.ts', 'src/compare/compare-with-objects.ts'],
  'src/cli/fleet/cluster.ts': [
    'src/watch/api/api-client.ts',
    'src/watch/api/credentials.ts',
    'src/watch/api/pod-exec.ts',
    'src/watch/objects/parse-objects.ts',
    'src/watch/objects/schemas.ts',
  ],
  'src/cli/fleet/fleet.ts': ['src/watch/api/api-client.ts'],
  'src/cli/fleet/fleet-explain.ts': ['src/watch/api/api-client.ts'],
  'src/cli/migrate/node-label.ts': ['src/watch/api/api-client.ts', 'src/watch/api/credentials.ts'],
  'src/daemon/memory.ts': ['native-shims/index.ts'],
  'src/daemon/instance-lock.ts': ['native-shims/index.ts'],
  'src/web/main.ts': ['src/cli/admin/service-index.ts'],
  'src/web/model/explain.ts': ['src/cli/explain/facts.ts', 'src/cli/explain/service-report.ts'],
  'src/web/view/detail.ts': [
    'src/cli/admin/service-index.ts',
    'src/cli/explain/facts.ts',
    'src/cli/explain/service-report.ts',
  ],
  'src/web/view/lists.ts': ['src/cli/admin/service-index.ts'],
  'src/doctor/checks/settings.ts': ['src/daemon/kernel/kernel-settings.ts'],
};

/** Which files may import a package: one each, except zod. */
const packages: Readonly<Record<string, readonly string[]>> = {
  'ipaddr.js': ['src/base/ip.ts'],
  pino: ['src/base/log.ts'],
  netlink: ['src/netlink/event-socket.ts'],
  '@bufbuild/protobuf': ['src/watch/protobuf/message.ts'],
  '@kubernetes/client-node': ['src/watch/api/credentials.ts'],
  zod: [
    'src/watch/objects/schemas.ts',
    'src/config/schema/fields.ts',
    'src/config/schema/kube-proxy-configuration.ts',
    'src/config/schema/kube-ipvs-configuration.ts',
    'src/config/schema/read-configuration.ts',
  ],
  yaml: ['src/base/yaml.ts'],
  commander: ['src/cli/framework/run-command-line.ts'],
  'prom-client': ['src/daemon/metrics/registry.ts'],
  ws: ['src/watch/api/pod-exec.ts'],
  'string-width': ['src/cli/output/display-width.ts'],
};

/** Folders that hold decisions only: no package, no node:*, no clock, no socket. */
const pure = ['src/model', 'src/nftables', 'src/plan', 'src/admin-api', 'src/fleet'];

const sources = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));

const importsOf = (file: string): string[] => {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(/\b(?:from\s+|import\s+|import\s*\(\s*)'([^']+)'/g)].map(
    (match) => match[1] ?? '',
  );
};

const folderOf = (file: string): string =>
  file
    .split('/')
    .slice(0, file.startsWith('src/') ? 2 : 1)
    .join('/');

const resolveImport = (file: string, specifier: string): string =>
  relative(root, join(root, dirname(file), specifier)).replace(/\.js$/, '.ts');

const allSources = [
  ...sources('src'),
  ...(existsSync(join(root, 'native-shims')) ? sources('native-shims') : []),
];

test('every file imports only from the folders that its folder may import', () => {
  const wrong = allSources.flatMap((file) =>
    importsOf(file)
      .filter((specifier) => specifier.startsWith('.'))
      .map((specifier) => resolveImport(file, specifier))
      .filter((target) => folderOf(target) !== folderOf(file))
      .filter((target) => !(mayImport[folderOf(file)] ?? []).includes(folderOf(target)))
      .filter((target) => !(exceptions[file] ?? []).includes(target))
      .map((target) => `${file} imports ${target}`),
  );
  assert.deepEqual(wrong, []);
});

test('a package is imported by its own file only', () => {
  const wrong = allSources.flatMap((file) =>
    importsOf(file)
      .filter((specifier) => !specifier.startsWith('.') && !specifier.startsWith('node:'))
      .map((specifier) =>
        specifier
          .split('/')
          .slice(0, specifier.startsWith('@') ? 2 : 1)
          .join('/'),
      )
      .filter((name) => !(packages[name] ?? []).includes(file))
      .map((name) => `${file} imports ${name}`),
  );
  assert.deepEqual(wrong, []);
});

test('model and plan import no package, no node module, and ask no clock', () => {
  const wrong = allSources
    .filter((file) => pure.includes(folderOf(file)))
    .filter(
      (file) =>
        importsOf(file).some((specifier) => !specifier.startsWith('.')) ||
        /\bDate\.now\(|\bMath\.random\(|\bnew Date\(\)|\bprocess\./.test(
          readFileSync(join(root, file), 'utf8'),
        ),
    );
  assert.deepEqual(wrong, []);
});

test('no default exports, no barrels, no file named utils', () => {
  const wrong = allSources.filter(
    (file) =>
      /^export default /m.test(readFileSync(join(root, file), 'utf8')) ||
      /^export \* from/m.test(readFileSync(join(root, file), 'utf8')) ||
      /\/(utils?|helpers?|misc|common)\.ts$/.test(file),
  );
  assert.deepEqual(wrong, []);
});

test('no source file is longer than 350 lines', () => {
  const wrong = allSources
    .map((file) => ({ file, lines: readFileSync(join(root, file), 'utf8').split('\n').length - 1 }))
    .filter(({ lines }) => lines > 350);
  assert.deepEqual(wrong, []);
});

interface LintReport {
  readonly number_of_files: number;
  readonly diagnostics: readonly {
    readonly filename: string;
    readonly message: string;
    readonly labels: readonly { readonly span: { readonly line: number } }[];
  }[];
}

/** Functions, methods and arrow functions of more than so many lines below a folder, as the linter's parser finds them. */
const longFunctions = (folder: string, maximum: number): LintReport => {
  const config = join(mkdtempSync(join(tmpdir(), 'architecture-')), 'oxlint.json');
  const rules = { 'eslint/max-lines-per-function': ['error', { max: maximum }] };
  writeFileSync(config, JSON.stringify({ plugins: [], categories: { correctness: 'off' }, rules }));
  const linter = join(root, 'node_modules/.bin/oxlint');
  const { stdout, stderr } = spawnSync(linter, ['-c', config, '--format', 'json', folder], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  assert.notEqual(stdout, '', stderr);
  return JSON.parse(stdout) as LintReport;
};

test('no function is longer than 40 lines', () => {
  const { number_of_files: files, diagnostics } = longFunctions('src', 40);
  assert.equal(files, sources('src').length);
  const wrong = diagnostics.map(
    ({ filename, labels, message }) => `${filename}:${labels[0]?.span.line}: ${message}`,
  );
  assert.deepEqual(wrong, []);
});

test('the linter that counts the lines of functions sees functions, methods and arrow functions', () => {
  const folder = mkdtempSync(join(tmpdir(), 'architecture-'));
  const body = '  void 0;\n'.repeat(40);
  const kinds = {
    function: `export function long() {\n${body}}\n`,
    arrow: `export const long = () => {\n${body}};\n`,
    method: `export class A {\n long() {\n${body}}\n}\n`,
    privateMethod: `export class A {\n #long() {\n${body}}\n use() { this.#long(); }\n}\n`,
    table: `export const table = {\n${'  a: 1,\n'.repeat(60)}};\n`,
  };
  for (const [name, text] of Object.entries(kinds)) writeFileSync(join(folder, `${name}.ts`), text);
  const found = longFunctions(folder, 40).diagnostics.map(({ filename }) => basename(filename, '.ts'));
  assert.deepEqual(found.toSorted(), ['arrow', 'function', 'method', 'privateMethod']);
});

test('no folder has more than 20 files directly in it', () => {
  const counts = new Map<string, number>();
  for (const file of sources('src')) counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1);
  const wrong = [...counts].filter(([, count]) => count > 20).map(([folder, count]) => `${folder}: ${count}`);
  assert.deepEqual(wrong, []);
});

/**
 * Where time passes by plan: programs that load a daemon, servers and clients that are slow on purpose, the helpers themselves, and
 * tests with the text of such a program.
 */
const mayPause = [
  /^test\/(soak|overload|benchmark|traffic)\/(?!.*\.test\.ts$)/,
  /^test\/support\/(eventually|virtual-clock|api-server|api-streams|steady-client)\.ts$/,
  /^test\/(cli\/output\/lost-output|scripts\/(lab|run-tests)|architecture)\.test\.ts$/,
];

test('no test waits for a fixed time: it waits for what is to happen, or lets virtual time elapse', () => {
  const pausing = /\bsetTimeout\(|\bsetTimeout( as \w+)? \}|\bscheduler\.wait\(/;
  const wrong = sources('test')
    .filter((file) => !mayPause.some((pattern) => pattern.test(file)))
    .flatMap((file) =>
      readFileSync(join(root, file), 'utf8')
        .split('\n')
        .filter((line) => pausing.test(line))
        .map((line) => `${file}: ${line.trim()}`),
    );
  assert.deepEqual(wrong, []);
});

test('what elapses virtual time runs in it', () => {
  const wrong = sources('test').filter(
    (file) =>
      file.endsWith('.test.ts') &&
      importsOf(file).some((specifier) => specifier.endsWith('/virtual-clock.js')) &&
      (file.startsWith('test/kernel/')
        ? /^\/\/ real time: /m.test(readFileSync(join(root, file), 'utf8'))
        : !/^\/\/ virtual time: /m.test(readFileSync(join(root, file), 'utf8'))),
  );
  assert.deepEqual(wrong, []);
});
