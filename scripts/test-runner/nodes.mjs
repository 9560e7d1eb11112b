// The versions of Node.js that tests run on.
import { execute } from './execute.mjs';

/** The Node that runs us. */
export const ownNode = { version: process.versions.node, program: process.execPath };

/** The Node that kube-ipvs is shipped with: `scripts/runtime` prints its path. Undefined if it cannot be had. */
export const productNode = async () => {
  const { status, stdout, stderr } = await execute('scripts/runtime', [], { seconds: 600 });
  const program = stdout.trim();
  if (status !== 0) {
    console.log(`scripts/runtime: ${status}\n${stderr}`);
    return undefined;
  }
  const version = await execute(program, ['--version'], { seconds: 60 });
  return { version: version.stdout.trim().slice(1), program };
};
