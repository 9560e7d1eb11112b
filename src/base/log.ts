import { pino } from 'pino';

/** What the rest of the program may ask of a logger: constant messages, data in fields. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Logger;
}

/** Levels by klog verbosity: `-v 0` and up is info, from 4 on debug. Writes JSON lines to standard error. */
export const createLogger = (options: { readonly verbosity: number }): Logger =>
  pino(
    {
      level: options.verbosity >= 4 ? 'debug' : 'info',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ fd: 2, sync: true }),
  );

const ignore = (): void => {};

/** A logger for tests and pure runs: says nothing. */
export const silentLogger: Logger = {
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  child: () => silentLogger,
};
