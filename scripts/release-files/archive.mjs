// Archives of a release: gzipped tar archives that depend only on what is in them.
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { tarOf } from '../container-image/tar.mjs';

/** Files below a directory, with the path that they get in an archive. */
export const filesBelow = (directory, prefix) =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => [join(prefix, relative(directory, path)), readFileSync(path)]);

/** The archive of `[path, content]` pairs; `programs` are the paths of executable files. */
export const archiveOf = (files, programs = []) =>
  gzipSync(
    tarOf(
      files.map(([path, content]) => ({
        path,
        kind: 'file',
        mode: programs.includes(path) ? 0o755 : 0o644,
        content: Buffer.from(content),
      })),
    ),
    { level: 9 },
  );
