import { cpSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { main } from './program.js';
import { runProgram, type ProgramResult } from './program-thread.js';

const copyWithoutNativeModules = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'kubectl-plugin-'));
  const dist = dirname(main);
  cpSync(main, join(folder, 'kubectl-kube_ipvs.js'));
  cpSync(join(dist, 'chunks'), join(folder, 'chunks'), { recursive: true });
  return join(folder, 'kubectl-kube_ipvs.js');
};

let program: string | undefined;

export type PluginResult = ProgramResult;

/** Runs the program as kubectl runs its plugin, from a copy of the bundle without its native modules. */
export const runPluginProgram = (
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<PluginResult> => {
  program ??= copyWithoutNativeModules();
  return runProgram(program, args, {
    environment: { PATH: process.env['PATH'], HOME: dirname(program), ...environment },
  });
};
