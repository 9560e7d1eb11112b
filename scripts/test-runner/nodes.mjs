// The versions of Node.js that tests run on.
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { execute } from './execute.mjs';

const productVersion = '26.12.1';

/** The Node that runs us. */
export const ownNode = { version: process.versions.node, program: process.execPath };

const fetchNode = async (version, folder, packageName) => {
  console.error(`• Node ${version} (npm)`);
  const cache = join(folder, '..');
  mkdirSync(cache, { recursive: true });
  const aside = mkdtempSync(join(cache, 'new-'));
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'];
  const install = ['install', '--prefix', aside, ...options, `${packageName}@${version}`];
  const { stdout, stderr } = await execute('npm', install, { seconds: 300 });
  // Of two runs that fetch the same, one comes first.
  if (!existsSync(folder)) renameSync(aside, folder);
  else rmSync(aside, { recursive: true });
  return `${stdout}${stderr}`;
};

/** A Node of this version from the cache, fetched as a package if it is missing; undefined where that fails. */
const nodeOf = async (version) => {
  if (version === ownNode.version) return ownNode;
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'kube-ipvs-node');
  const folder = join(cache, version);
  const packageName = `node-${process.platform}-${process.arch}`;
  const program = join(folder, 'node_modules', packageName, 'bin/node');
  const said = existsSync(program) ? '' : await fetchNode(version, folder, packageName);
  const { stdout } = await execute(program, ['--version'], { seconds: 60 });
  if (stdout.trim() === `v${version}`) return { version, program };
  console.log(`could not fetch Node ${version}\n${said}`);
  rmSync(folder, { recursive: true, force: true });
  return undefined;
};

/** What `scripts/runtime` prints: the path of the Node that the product is shipped with. */
const nodeOfRuntime = async () => {
  const { status, stdout, stderr } = await execute('scripts/runtime', [], { seconds: 600 });
  const program = stdout.trim();
  if (status !== 0) return console.log(`scripts/runtime: ${status}\n${stderr}`);
  const version = await execute(program, ['--version'], { seconds: 60 });
  return { version: version.stdout.trim().slice(1), program };
};

/** The Node that the product is shipped with; undefined where it cannot be had. */
export const productNode = () => (existsSync('scripts/runtime') ? nodeOfRuntime() : nodeOf(productVersion));
