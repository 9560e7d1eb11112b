import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { InputError, messageOf } from '../../base/errors.js';
import { isManifestName, readManifests, type ManifestState } from '../../watch/manifests/manifests.js';

const filesOf = (path: string): readonly string[] =>
  statSync(path).isDirectory()
    ? readdirSync(path)
        .filter(isManifestName)
        .map((name) => join(path, name))
    : [path];

/** Turns a failure into an InputError that begins with the name. */
const withFileName = <Result>(name: string, read: () => Result): Result => {
  try {
    return read();
  } catch (error) {
    throw new InputError(`${name}: ${messageOf(error)}`);
  }
};

/**
 * Reads Nodes, and the Services and EndpointSlices of the instance, from files, from the manifests in directories, and from `-`, standard input. InputError
 * with file and line for a file that is not valid.
 */
export const readObjects = (paths: readonly string[], serviceProxyName: string): ManifestState => {
  const texts = paths.flatMap((path) => {
    if (path === '-')
      return [{ name: 'standard input', text: withFileName(path, () => readFileSync(0, 'utf8')) }];
    const files = withFileName(`-f ${path}`, () => filesOf(path));
    return files.map((name) => ({ name, text: withFileName(name, () => readFileSync(name, 'utf8')) }));
  });
  return readManifests(texts, serviceProxyName);
};
