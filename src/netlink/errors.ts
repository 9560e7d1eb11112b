import { getSystemErrorMap } from 'node:util';
import { BaseError } from '../base/errors.js';
import { errnoName } from './errno.js';

/** Malformed bytes, or a value that does not fit its attribute. `path` names the attribute, as `service.port`; '' for the message itself. */
export class ProtocolError extends BaseError {
  constructor(
    readonly problem: string,
    readonly path: string = '',
  ) {
    super(path === '' ? problem : `${path}: ${problem}`);
  }

  /** The same error with the path from the set that contains the attribute. */
  within(name: string): ProtocolError {
    return new ProtocolError(this.problem, this.path === '' ? name : `${name}.${this.path}`);
  }
}

/** What an extended acknowledgement adds to an error number. */
export interface KernelExplanation {
  readonly text: string | undefined;
  readonly attributePath: string | undefined;
}

const meaningOf = (errnoNumber: number): string => {
  const known = getSystemErrorMap().get(-errnoNumber);
  return known === undefined ? '' : ` (${known[1]})`;
};

/** Errors of a system call that mean that the socket has failed permanently. */
export const deadSocketErrnos = [
  'EBADF',
  'ENOTSOCK',
  'ENOTCONN',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ESHUTDOWN',
] as const;

/** The kernel refused an operation, or the socket failed. `errno` is the name of the error, as `EEXIST`. */
export class NetlinkError extends BaseError {
  readonly errno: string;

  constructor(
    readonly operation: string,
    readonly errnoNumber: number,
    readonly explanation: KernelExplanation = { text: undefined, attributePath: undefined },
    options?: { readonly cause?: unknown },
  ) {
    const { text, attributePath } = explanation;
    super(
      [
        `${operation}: ${errnoName(errnoNumber)}${meaningOf(errnoNumber)}`,
        ...(text === undefined ? [] : [text]),
        ...(attributePath === undefined || attributePath === '' ? [] : [`at ${attributePath}`]),
      ].join(', '),
      options,
    );
    this.errno = errnoName(errnoNumber);
  }
}

/** The error number of a system call that native-shims made; undefined for any other error. */
export const errnoOf = (error: unknown): number | undefined =>
  error instanceof Error && 'errno' in error && typeof error.errno === 'number' ? error.errno : undefined;

/** The NetlinkError of a system call that native-shims made. Any other error is returned unchanged. */
export const fromSystemCall = (operation: string, error: unknown): unknown => {
  const errno = errnoOf(error);
  return errno === undefined ? error : new NetlinkError(operation, errno, undefined, { cause: error });
};
