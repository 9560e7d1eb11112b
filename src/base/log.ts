import { pino, type Logger as Pino } from 'pino';
import { klogLine } from './klog.js';

/** What the rest of the program may ask of a logger: constant messages, data in fields. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Logger;
}

export interface LogOptions {
  /** As klog's -v: 0 and up is info, from 4 on debug. */
  readonly verbosity: number;
  /** `text`: lines as klog has them; `json`: an object a line. */
  readonly format: 'text' | 'json';
}

/** A logger whose options may change while it is used; its children change with it. */
export interface ConfigurableLogger extends Logger {
  set(options: LogOptions): void;
}

class PinoLogger implements Logger {
  constructor(
    private readonly pino: Pino,
    private readonly options: () => LogOptions,
  ) {}

  debug(fields: object, message: string): void {
    if (this.options().verbosity >= 4) this.pino.debug(fields, message);
  }
  info(fields: object, message: string): void {
    this.pino.info(fields, message);
  }
  warn(fields: object, message: string): void {
    this.pino.warn(fields, message);
  }
  error(fields: object, message: string): void {
    this.pino.error(fields, message);
  }
  child(fields: object): Logger {
    return new PinoLogger(this.pino.child(fields), this.options);
  }
}

/** Writes lines to standard error, each at once. */
export const createLogger = (initial: LogOptions): ConfigurableLogger => {
  let options = initial;
  const destination = pino.destination({ fd: 2, sync: true });
  const write = (line: string): void => {
    destination.write(options.format === 'json' ? line : klogLine(line));
  };
  const root = pino(
    {
      level: 'debug',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  );
  return Object.assign(new PinoLogger(root, () => options), {
    set(next: LogOptions): void {
      options = next;
    },
  });
};

const ignore = (): void => {};

/** A logger for tests and pure runs: says nothing. */
export const silentLogger: Logger = {
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  child: () => silentLogger,
};
