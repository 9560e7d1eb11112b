import { spawnSync } from 'node:child_process';

/** Runs a program in a new network namespace whose loopback is up; gives the JSON that it prints. */
export const inNamespace = (...command: readonly string[]): unknown => {
  const { status, stdout } = spawnSync(
    'unshare',
    ['--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', ...command],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
  );
  if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}`);
  return JSON.parse(stdout);
};
