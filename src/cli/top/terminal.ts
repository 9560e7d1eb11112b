import { emitKeypressEvents } from 'node:readline';
import type { ReadStream, WriteStream } from 'node:tty';
import { styleText } from 'node:util';
import type { ScreenLine, ScreenSize } from './screen.js';
import type { Key } from './state.js';

/** A key event of node:readline. */
interface Keypress {
  readonly name?: string;
  readonly ctrl?: boolean;
}

const escape = '\u001b[';
/** Sequences of xterm, which all current terminals support: the alternate screen, and no cursor. */
const enter = `${escape}?1049h${escape}?25l${escape}2J`;
const leave = `${escape}?25h${escape}?1049l`;

type Format = Parameters<typeof styleText>[0];

/** Only `draining` has a colour: the others are styles that every terminal shows. */
const formats: Readonly<Record<ScreenLine['style'], Format | undefined>> = {
  plain: undefined,
  strong: 'bold',
  faint: 'dim',
  title: 'bold',
  marked: 'inverse',
  draining: 'yellow',
};

export interface TerminalParts {
  readonly input: ReadStream;
  readonly output: WriteStream;
  readonly colours: boolean;
  readonly onKey: (key: Key) => void;
  readonly onResize: () => void;
}

/** Runs a terminal full-screen; disposing restores its previous content. */
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

  /** Writes the lines that changed. */
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
    const format = formats[style];
    if (format === undefined || (style === 'draining' && !this.parts.colours)) return text;
    const wide = style === 'marked' ? text.padEnd(this.size.columns) : text;
    return styleText(format, wide, { validateStream: false });
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

  /** Ctrl-Z: restores the terminal while the program is suspended. */
  #suspend(): void {
    this.#close();
    process.kill(process.pid, 'SIGTSTP');
  }

  readonly #continued = (): void => {
    if (!this.#isOpen) this.#open();
    this.parts.onResize();
  };
}
