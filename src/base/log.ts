import { pino, type Logger as Pino } from 'pino';
import { klogLine, type LogLevel } from './klog.js';

/** The logger that the program uses: constant messages, data in fields. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Logger;
}

export interface LogOptions {
  /** As klog's -v: info at every level, debug from 4 on. */
  readonly verbosity: number;
  /** `text`: lines as klog writes them; `json`: one object per line. */
  readonly format: 'text' | 'json';
}

/** A logger whose options can change while it is used; they apply to its children too. */
export interface ConfigurableLogger extends Logger {
  set(options: LogOptions): void;
}

interface Output {
  options: LogOptions;
  readonly write: (line: string) => void;
}

/** Writes JSON by pino and text directly. */
class FormattingLogger implements Logger {
  constructor(
    private readonly pino: Pino,
    private readonly output: Output,
    private readonly bindings: object = {},
  ) {}

  debug(fields: object, message: string): void {
    if (this.output.options.verbosity >= 4) this.#log('debug', fields, message);
  }
  info(fields: object, message: string): void {
    this.#log('info', fields, message);
  }
  warn(fields: object, message: string): void {
    this.#log('warn', fields, message);
  }
  error(fields: object, message: string): void {
    this.#log('error', fields, message);
  }
  child(fields: object): Logger {
    return new FormattingLogger(this.pino.child(fields), this.output, { ...this.bindings, ...fields });
  }

  #log(level: LogLevel, fields: object, message: string): void {
    if (this.output.options.format === 'json') this.pino[level](fields, message);
    else
      this.output.write(
        klogLine({ level, time: new Date(), message, fields: { ...this.bindings, ...fields } }),
      );
  }
}

/** Writes lines to standard error, each at once. */
export const createLogger = (options: LogOptions): ConfigurableLogger => {
  const destination = pino.destination({ fd: 2, sync: true });
  const output: Output = { options, write: (line) => void destination.write(line) };
  const root = pino(
    {
      level: 'debug',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  return Object.assign(new FormattingLogger(root, output), {
    set(next: LogOptions): void {
      output.options = next;
    },
  });
};

const ignore = (): void => {};

/** A logger that discards everything. */
export const silentLogger: Logger = {
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  child: () => silentLogger,
};
