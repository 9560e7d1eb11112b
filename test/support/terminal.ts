import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { eventually } from './daemon-process.js';

/** A program in a terminal of tmux: keys go in, its screen comes out. */
export class Terminal implements Disposable {
  readonly #socket = `kube-ipvs-${randomUUID()}`;
  readonly #env: NodeJS.ProcessEnv;

  constructor(
    command: readonly string[],
    options: {
      readonly columns?: number;
      readonly rows?: number;
      readonly env?: Readonly<Record<string, string>>;
    } = {},
  ) {
    const { columns = 120, rows = 40, env = {} } = options;
    this.#env = { ...process.env, ...env };
    this.#tmux('-f', '/dev/null', 'new-session', '-d', '-x', `${columns}`, '-y', `${rows}`, ...command);
  }

  #tmux(...args: readonly string[]): string {
    const { status, stdout, stderr } = spawnSync('tmux', ['-L', this.#socket, ...args], {
      encoding: 'utf8',
      env: this.#env,
    });
    if (status !== 0) throw new Error(`tmux ${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  /** Types a text as it is. */
  type(text: string): void {
    this.#tmux('send-keys', '-l', '--', text);
  }

  /** Presses keys by tmux's names: Tab, Enter, C-c, Up. */
  press(...keys: readonly string[]): void {
    this.#tmux('send-keys', ...keys);
  }

  /** What is to be seen, without empty lines at the end. */
  screen(): string {
    return this.#tmux('capture-pane', '-p').trimEnd();
  }

  /** Waits until the screen is as it is to be. */
  async shows(check: (screen: string) => void): Promise<void> {
    await eventually(() => check(this.screen()));
  }

  [Symbol.dispose](): void {
    spawnSync('tmux', ['-L', this.#socket, 'kill-server']);
  }
}
