import { once } from 'node:events';

/** What is handed to the system at a time. */
const chunkLength = 64 * 1024;

/** Writes one, and waits for a reader that has enough for now. */
export const write = async (text: string): Promise<void> => {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
};

/** Writes texts to standard output as they come, as fast as its reader takes them: what is printed is never there as a whole. */
export const writeOut = async (texts: Iterable<string>): Promise<void> => {
  let chunk = '';
  for (const text of texts) {
    chunk += text;
    if (chunk.length < chunkLength) continue;
    await write(chunk);
    chunk = '';
  }
  if (chunk !== '') await write(chunk);
};
