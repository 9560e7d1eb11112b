import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Beside a bundle (dist/), beside its chunks (dist/chunks/), and for compiled files (build/src/daemon/page/). */
const folders = ['./web/', '../web/', '../../../../dist/web/'];

const contentTypes: Readonly<Record<string, string>> = {
  'index.html': 'text/html; charset=utf-8',
  'page.js': 'text/javascript; charset=utf-8',
  'page.css': 'text/css; charset=utf-8',
  'icon.svg': 'image/svg+xml',
};

export interface PageFile {
  readonly contentType: string;
  readonly text: string;
  /** For the header ETag. */
  readonly tag: string;
}

/** Reads a file of dist/web. Undefined for other names; throws an Error where the page was not built. */
export const readPageFile = (name: string): PageFile | undefined => {
  const contentType = Object.hasOwn(contentTypes, name) ? contentTypes[name] : undefined;
  if (contentType === undefined) return undefined;
  const path = folders
    .map((folder) => fileURLToPath(new URL(`${folder}${name}`, import.meta.url)))
    .find(existsSync);
  if (path === undefined) throw new Error(`${name} of the page is missing: run npm run build`);
  const text = readFileSync(path, 'utf8');
  return { contentType, text, tag: `"${createHash('sha256').update(text).digest('base64url')}"` };
};
