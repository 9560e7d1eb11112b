import { closeSync, openSync, readSync } from 'node:fs';
import { messageOf } from '../../../base/errors.js';
import { TableFileError } from './table-file-error.js';
import { TableParser, type TableVisitor } from './table-parser.js';

/** A file that is being read. */
export interface OpenTableFile {
  /** Reads some bytes to the offset of the buffer; 0 at the end. */
  read(buffer: Buffer, offset: number): number;
  close(): void;
}

/** Opens the IPVS table as a file. Throws a system error where it cannot be opened. */
export type TableFile = () => OpenTableFile;

/**
 * The IPVS table of the network namespace of this process: that of its main thread, which also opened the netlink sockets. The
 * calls are synchronous because they never wait: the kernel makes at most a few KiB in each.
 */
export const procTableFile: TableFile = () => {
  const descriptor = openSync('/proc/net/ip_vs', 'r');
  return {
    read: (buffer, offset) => readSync(descriptor, buffer, offset, buffer.length - offset, null),
    close: () => closeSync(descriptor),
  };
};

/** How much is read and parsed at once; the kernel gives a page (4 KiB) at a time, or one virtual server if that is longer. */
const pieceBytes = 32 << 10;
const bufferBytes = 2 * pieceBytes;

const orTableFileError = <T>(call: () => T): T => {
  try {
    return call();
  } catch (cause) {
    throw new TableFileError(`cannot be read: ${messageOf(cause)}`);
  }
};

const fill = (
  file: OpenTableFile,
  buffer: Buffer,
  start: number,
): { readonly end: number; readonly isLast: boolean } => {
  let end = start;
  while (end < pieceBytes) {
    const offset = end;
    const count = orTableFileError(() => file.read(buffer, offset));
    if (count === 0) return { end, isLast: true };
    end += count;
  }
  return { end, isLast: false };
};

const readPieces = async (
  file: OpenTableFile,
  parser: TableParser,
  afterPiece: () => Promise<void>,
): Promise<void> => {
  const buffer = Buffer.allocUnsafe(bufferBytes);
  let rest = 0;
  for (let isLast = false; !isLast; ) {
    const piece = fill(file, buffer, rest);
    const parsed = parser.parse(buffer, piece.end);
    if (parsed === 0 && piece.end >= pieceBytes) throw new TableFileError('has no lines');
    buffer.copyWithin(0, parsed, piece.end);
    rest = piece.end - parsed;
    ({ isLast } = piece);
    await afterPiece();
  }
  parser.end(rest);
};

/**
 * Calls the visitor for each line, and `afterPiece` after each piece. The file does not show one moment: the kernel goes on from a
 * position in its table, so virtual servers may be missing or come twice where others are added or deleted meanwhile. Rejects with
 * a TableFileError where there is no such file or its format is unknown.
 */
export const readTableFile = async (
  open: TableFile,
  visitor: TableVisitor,
  afterPiece: () => Promise<void>,
): Promise<void> => {
  const file = orTableFileError(open);
  try {
    await readPieces(file, new TableParser(visitor), afterPiece);
  } finally {
    file.close();
  }
};
