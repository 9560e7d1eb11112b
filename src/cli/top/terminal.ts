import { emitKeypressEvents } from 'node:readline';
import type { ReadStream, WriteStream } from 'node:tty';
import type { ScreenLine, ScreenSize } from './screen.js';
import type { Key } from './state.js';

/** What node:readline tells of a key. */
interface Keypress {
  readonly name?: string;
  readonly ctrl?: boolean;
}

const escape = '\u001b[';
/** xterm's, which all terminals of today know: a screen of our own, so that what was there comes back; no cursor. */
const enter = `${escape}?1049h${escape}?25l${escape}2J`;
const leave = `${escape}?25h${escape}?1049l`;

/** Reverse is no colour: the marked line is seen on every terminal, and by its > on those without. */
const styles: Readonly<Record<ScreenLine['style'], readonly [code: string, isColour: boolean]>> = {
  plain: ['', false],
  strong: ['1', false],
  faint: ['2', false],
  title: ['1', false],
  marked: ['7', false],
  draining: ['33', true],
};

export interface TerminalParts {
  readonly input: ReadStream;
  readonly output: WriteStream;
  readonly colours: boolean;
  readonly onKey: (key: Key) => void;
  readonly onResize: () => void;
}

/** A terminal as a full screen, until it is disposed of: then it is as it was before. */
export class Terminal implements Disposable {
  #drawn: readonly string[] = [];
  #isOpen = false;

  constructor(private readonly parts: TerminalParts) {
    emitKeypressEvents(parts.input);
    this.#open();
    parts.input.on('keypress', this.#key);
    parts.output.on('resize', this.#resized);
    process.on('SIGCONT', this.#continued);
  }

  get size(): ScreenSize {
    return { columns: this.parts.output.columns, rows: this.parts.output.rows };
  }

  /** Writes the lines that are not there yet. */
  draw(lines: readonly ScreenLine[]): void {
    if (!this.#isOpen) return;
    const texts = lines.map((line) => this.#painted(line));
    const changed = texts.flatMap((text, index) =>
      text === this.#drawn[index] ? [] : `${escape}${index + 1};1H${text}${escape}K`,
    );
    this.#drawn = texts;
    if (changed.length > 0) this.parts.output.write(changed.join(''));
  }

  [Symbol.dispose](): void {
    this.parts.input.off('keypress', this.#key);
    this.parts.output.off('resize', this.#resized);
    process.off('SIGCONT', this.#continued);
    this.#close();
    this.parts.input.pause();
  }

  #painted({ text, style }: ScreenLine): string {
    const [code, isColour] = styles[style];
    if (code === '' || (isColour && !this.parts.colours)) return text;
    const wide = style === 'marked' ? text.padEnd(this.size.columns) : text;
    return `${escape}${code}m${wide}${escape}0m`;
  }

  #open(): void {
    this.#isOpen = true;
    this.#drawn = [];
    this.parts.input.setRawMode(true);
    this.parts.input.resume();
    this.parts.output.write(enter);
  }

  #close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.parts.output.write(leave);
    this.parts.input.setRawMode(false);
  }

  readonly #key = (text: string | undefined, { name, ctrl = false }: Keypress): void => {
    if (ctrl && name === 'z') this.#suspend();
    else this.parts.onKey({ name, text, control: ctrl });
  };

  readonly #resized = (): void => {
    this.#drawn = [];
    this.parts.output.write(`${escape}2J`);
    this.parts.onResize();
  };

  /** As every program does at Ctrl-Z, the terminal given back meanwhile. */
  #suspend(): void {
    this.#close();
    process.kill(process.pid, 'SIGTSTP');
  }

  readonly #continued = (): void => {
    if (!this.#isOpen) this.#open();
    this.parts.onResize();
  };
}
