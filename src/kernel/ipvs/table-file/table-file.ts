import { closeSync, openSync, readSync } from 'node:fs';
import { messageOf } from '../../../base/errors.js';
import { TableFileError } from './table-file-error.js';
import { newline, TableParser, type TableVisitor } from './table-parser.js';

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

/** How much is read at least before other work gets a turn; the kernel gives a page (4 KiB) at a time, or one longer virtual server. */
const pieceBytes = 32 << 10;
const bufferBytes = 2 * pieceBytes;

export interface TableFileReader extends TableVisitor {
  /**
   * Called before each page that the kernel made, if the reader has this method. True: the page is passed over. Undefined: the page
   * does not consist of whole lines, so it cannot be passed over. The bytes are valid until the method returns.
   */
  passesOver?(page: Buffer | undefined): boolean;
  /** Called after each piece of some pages. */
  afterPiece(): Promise<void>;
}

const orTableFileError = <T>(call: () => T): T => {
  try {
    return call();
  } catch (cause) {
    throw new TableFileError(`cannot be read: ${messageOf(cause)}`);
  }
};

/** Reads the file once. */
class Reading {
  readonly #buffer = Buffer.allocUnsafe(bufferBytes);
  readonly #parser: TableParser;
  /** How many bytes of an incomplete line are at the start of the buffer. */
  #rest = 0;

  constructor(
    private readonly file: OpenTableFile,
    private readonly reader: TableFileReader,
  ) {
    this.#parser = new TableParser(reader);
  }

  async run(): Promise<void> {
    for (let isLast = false; !isLast; ) {
      isLast = this.#readPiece();
      await this.reader.afterPiece();
    }
    this.#parser.end(this.#rest);
  }

  /** Returns whether it was the last piece. */
  #readPiece(): boolean {
    for (let bytes = 0; bytes < pieceBytes; ) {
      const count = orTableFileError(() => this.file.read(this.#buffer, this.#rest));
      if (count === 0) return true;
      bytes += count;
      this.#readPage(this.#rest + count);
    }
    return false;
  }

  #readPage(end: number): void {
    const buffer = this.#buffer;
    const isWhole = this.#rest === 0 && this.#parser.hasTitle && buffer[end - 1] === newline;
    if (this.reader.passesOver?.(isWhole ? buffer.subarray(0, end) : undefined) === true) return;
    const parsed = this.#parser.parse(buffer, end);
    if (parsed === 0 && end >= pieceBytes) throw new TableFileError('has no lines');
    buffer.copyWithin(0, parsed, end);
    this.#rest = end - parsed;
  }
}

/**
 * Calls the reader for each line. The file does not show one moment: the kernel goes on from a position in its table, so virtual
 * servers may be missing or come twice where others are added or deleted meanwhile. Rejects with a TableFileError where there is no
 * such file or its format is unknown.
 */
export const readTableFile = async (open: TableFile, reader: TableFileReader): Promise<void> => {
  const file = orTableFileError(open);
  try {
    await new Reading(file, reader).run();
  } finally {
    file.close();
  }
};
