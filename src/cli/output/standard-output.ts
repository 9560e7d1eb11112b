import { once } from 'node:events';
import { messageOf } from '../../base/errors.js';
import { printableLines } from '../../base/text.js';
import { exitStatus } from '../framework/command.js';

/** Texts are written in chunks of this length. */
const chunkLength = 64 * 1024;

/** Writes a text, and waits while the reader is slow. */
export const writeText = async (text: string): Promise<void> => {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
};

/** Writes texts to standard output as fast as its reader accepts them, without holding all in memory. */
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

/** Prints a message on standard error. */
export const printDiagnostic = (message: string): void => {
  process.stderr.write(`kube-ipvs: ${printableLines(message)}\n`);
};

let exitsOnOutputError = true;

/** For commands that change the node: they finish even if standard output is closed. */
export const ignoreOutputErrors = (): void => {
  exitsOnOutputError = false;
};

/** Exits if standard output fails: silently, with the current exit status, if the reader of a pipe has closed it, as head does. */
export const handleOutputError = (error: NodeJS.ErrnoException): void => {
  const isReaderClosed = error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED';
  if (!exitsOnOutputError) return;
  if (isReaderClosed) process.exit();
  printDiagnostic(`cannot write the output: ${messageOf(error)}`);
  process.exit(exitStatus.error);
};
