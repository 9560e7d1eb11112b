import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Beside a bundle (dist/), beside its chunks (dist/chunks/), and for compiled files (build/native-shims/). */
const folders = ['.', '..', '../../dist'];

/** Built on this machine, or for this architecture elsewhere: the npm package has binaries for two. */
const candidates = (name: string): readonly string[] =>
  [`${name}.node`, `${process.arch}/${name}.node`].flatMap((file) =>
    folders.map((folder) => fileURLToPath(new URL(`${folder}/${file}`, import.meta.url))),
  );

/** Loads a native module of dist/. Throws an Error with the command that builds it where it is missing or does not load. */
export const loadBinary = (name: string): unknown => {
  const found = candidates(name).find(existsSync);
  if (found === undefined)
    throw new Error(
      `${name}.node is missing. Build it with: node scripts/build-native.mjs (needs a C compiler; on Debian: apt-get install gcc libc6-dev linux-libc-dev)`,
    );
  try {
    return createRequire(import.meta.url)(found);
  } catch (cause) {
    throw new Error(`${found} does not load. Build it again with: node scripts/build-native.mjs --force`, {
      cause,
    });
  }
};
