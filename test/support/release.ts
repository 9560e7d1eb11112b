import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));

export const { version }: { version: string } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const notCopied = ['node_modules', 'build', 'dist', '.git'].map((name) => `--exclude=./${name}`);

/** The identity and time of the commit, so that it is the same commit in every copy. */
const commitEnvironment = {
  GIT_AUTHOR_NAME: 'A',
  GIT_AUTHOR_EMAIL: 'a@example.com',
  GIT_COMMITTER_NAME: 'A',
  GIT_COMMITTER_EMAIL: 'a@example.com',
  GIT_AUTHOR_DATE: '2026-01-02T03:04:05Z',
  GIT_COMMITTER_DATE: '2026-01-02T03:04:05Z',
};

/** Copies this checkout with uncommitted changes to a folder, as one commit; node_modules is a link to the packages here. */
export const committedCopy = (folder: string): void => {
  mkdirSync(folder, { recursive: true });
  const archive = execFileSync('tar', ['-c', '-C', root, ...notCopied, '.'], { maxBuffer: 1e9 });
  execFileSync('tar', ['-x', '-C', folder], { input: archive });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const env = { ...process.env, ...commitEnvironment };
  const git = (...args: readonly string[]) => execFileSync('git', ['-C', folder, ...args], { env });
  git('init', '--quiet');
  git('add', '--all');
  git('-c', 'commit.gpgSign=false', 'commit', '--quiet', '--message', 'copy');
};
