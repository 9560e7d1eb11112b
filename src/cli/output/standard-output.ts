import { once } from 'node:events';
import { messageOf } from '../../base/errors.js';
import { printableLines } from '../../base/text.js';
import { exitStatus } from '../framework/command.js';

/** What is handed to the system at a time. */
const chunkLength = 64 * 1024;

/** Writes one, and waits for a reader that has enough for now. */
export const writeText = async (text: string): Promise<void> => {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
};

/** Writes texts to standard output as they come, as fast as its reader takes them: what is printed is never there as a whole. */
export const writeTexts = async (texts: Iterable<string>): Promise<void> => {
  let chunk = '';
  for (const text of texts) {
    chunk += text;
    if (chunk.length < chunkLength) continue;
    await writeText(chunk);
    chunk = '';
  }
  if (chunk !== '') await writeText(chunk);
};

/** Tells of a problem on standard error. */
export const printDiagnostic = (message: string): void => {
  process.stderr.write(`kube-ipvs: ${printableLines(message)}\n`);
};

let exitsOnOutputError = true;

/** From now on all is done to its end, whether or not anybody reads what is told of it: for what changes something. */
export const ignoreOutputErrors = (): void => {
  exitsOnOutputError = false;
};

/**
 * What is printed finds no place. The reader of a pipe may leave early, as head does: then the program ends as well, without a
 * word and with the status that was found by then.
 */
export const handleOutputError = (error: NodeJS.ErrnoException): void => {
  const isReaderClosed = error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED';
  if (!exitsOnOutputError) return;
  if (isReaderClosed) process.exit();
  printDiagnostic(`the output cannot be written: ${messageOf(error)}`);
  process.exit(exitStatus.error);
};
