// The versions of Node.js on which tests run.
import { execute } from './execute.mjs';

/** The Node.js of this process. */
export const ownNode = { version: process.versions.node, program: process.execPath };

/** The Node.js that kube-ipvs ships, whose path `scripts/runtime` prints. Undefined if it cannot be fetched. */
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
