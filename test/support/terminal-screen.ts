import { execFileSync } from 'node:child_process';
import { eventually } from './eventually.js';

const longestPauseMilliseconds = 200;

/** A command in a real terminal: tmux keeps the screen, types keys and says what is to be seen. */
export class TerminalScreen implements Disposable {
  readonly #socket = `kube-ipvs-test-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;

  /** The command is a line of sh. What it leaves on the screen stays there when it ends. */
  constructor(command: string, { columns = 80, rows = 24 }: { columns?: number; rows?: number } = {}) {
    const size = ['-x', String(columns), '-y', String(rows)];
    // The shell goes on after the command, so that the screen that it gave back can be looked at.
    this.#tmux('new-session', '-d', ...size, `${command}; echo "status $?"; exec sleep 1000`);
  }

  #tmux(...args: readonly string[]): string {
    const environment = { ...process.env, TERM: 'screen', LC_ALL: 'C.UTF-8' };
    return execFileSync('tmux', ['-u', '-f', '/dev/null', '-L', this.#socket, ...args], {
      encoding: 'utf8',
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** tmux's names of keys: `Enter`, `Down`, `Tab`, `Escape`, `C-c`; or a text to type. */
  press(...keys: readonly string[]): void {
    this.#tmux('send-keys', ...keys);
  }

  resize(columns: number, rows: number): void {
    this.#tmux('resize-window', '-x', String(columns), '-y', String(rows));
  }

  /** The lines that are to be seen, without spaces at their ends. */
  lines(): readonly string[] {
    return this.#tmux('capture-pane', '-p')
      .split('\n')
      .map((line) => line.trimEnd());
  }

  /** How often a colour is set on the screen. */
  get colours(): number {
    const codes = this.#tmux('capture-pane', '-p', '-e').split('\u001b[').slice(1);
    return codes.filter((code) => /^[0-9;]*(3[0-7]|38|9[0-7])/.test(code)).length;
  }

  get cursorIsVisible(): boolean {
    return this.#tmux('display-message', '-p', '#{cursor_flag}').trim() === '1';
  }

  /** Waits until the screen shows the text, be it for a fifth of a second. Fails with the screen that was shown last. */
  shows(what: RegExp): Promise<readonly string[]> {
    return eventually(
      () => {
        const lines = this.lines();
        if (!what.test(lines.join('\n')))
          throw new Error(`the screen does not show ${String(what)}:\n${lines.join('\n')}`);
        return lines;
      },
      undefined,
      longestPauseMilliseconds,
    );
  }

  [Symbol.dispose](): void {
    this.#tmux('kill-server');
  }
}
