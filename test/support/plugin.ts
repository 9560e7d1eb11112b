import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { main } from './program.js';

const copyWithoutNativeModules = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'kubectl-plugin-'));
  const dist = dirname(main);
  cpSync(main, join(folder, 'kubectl-kube_ipvs.js'));
  cpSync(join(dist, 'chunks'), join(folder, 'chunks'), { recursive: true });
  return join(folder, 'kubectl-kube_ipvs.js');
};

let program: string | undefined;

export interface PluginResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program as kubectl runs its plugin, from a copy of the bundle without its native modules. */
export const runPluginProgram = async (
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<PluginResult> => {
  program ??= copyWithoutNativeModules();
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: dirname(program), ...environment },
  });
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', resolve);
  });
  const [stdout, stderr, status] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { status, stdout, stderr };
};
