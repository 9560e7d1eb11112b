import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { pathToFileURL } from 'node:url';
import {
  MessageChannel,
  Worker,
  parentPort,
  receiveMessageOnPort,
  workerData,
  type MessagePort,
} from 'node:worker_threads';

// Runs command lines in one thread that loads the program once. Starting the program in a process of its own costs 20 times as
// much. For commands that end without `process.exit` and need no native module; input is what is read at once from standard input.

export interface ProgramResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  readonly input?: string;
  /** The whole environment; that of this process by default. */
  readonly environment?: NodeJS.ProcessEnv;
  /** The path by which the program is called, by default its own. */
  readonly calledAs?: string;
}

interface Request {
  readonly program: string;
  readonly args: readonly string[];
  readonly options: ProgramOptions;
  readonly replyTo: MessagePort;
  readonly replied: Int32Array<SharedArrayBuffer>;
}

const threadMark = 'runs command lines';

// ---- in the thread

let runs = 0;

const presentStatus = (): number => Number(process.exitCode ?? 0);

/** A new instance of the main module runs the command line. Modules that it imports are loaded once. */
const runHere = async ({ program, args, options }: Request): Promise<ProgramResult> => {
  const written = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    process[name].write = (text: string | Uint8Array): boolean => {
      written[name] += String(text);
      return true;
    };
  process.argv = [process.execPath, options.calledAs ?? program, ...args];
  process.env = { ...options.environment };
  process.exitCode = undefined;
  const { readFileSync } = fs;
  const readInput = (path: fs.PathOrFileDescriptor, ...rest: never[]): unknown =>
    path === 0 ? (options.input ?? '') : readFileSync(path, ...rest);
  Object.assign(fs, { readFileSync: readInput });
  syncBuiltinESMExports();
  try {
    const url = pathToFileURL(program);
    url.search = String((runs += 1));
    await import(url.href);
  } finally {
    Object.assign(fs, { readFileSync });
    syncBuiltinESMExports();
    for (const name of ['stdout', 'stderr'] as const) process[name].removeAllListeners('error');
  }
  return { status: presentStatus(), ...written };
};

const answer = async (request: Request): Promise<void> => {
  const reply = await runHere(request).catch((error: unknown) => ({ error }));
  request.replyTo.postMessage(reply, []);
  Atomics.store(request.replied, 0, 1);
  Atomics.notify(request.replied, 0);
};

const serve = (port: MessagePort): void => {
  let last: Promise<void> = Promise.resolve();
  process.exit = (): never => {
    throw new Error('process.exit was called: run this command line in a process');
  };
  port.on('message', (request: Request) => {
    last = last.then(() => answer(request));
  });
};

if (workerData === threadMark && parentPort !== null) serve(parentPort);

// ---- in the test

let thread: Worker | undefined;

type Reply = ProgramResult | { readonly error: unknown };

const send = (program: string, args: readonly string[], options: ProgramOptions) => {
  if (thread === undefined) {
    thread = new Worker(new URL(import.meta.url), { workerData: threadMark });
    thread.unref();
  }
  const { port1, port2 } = new MessageChannel();
  const replied = new Int32Array(new SharedArrayBuffer(4));
  const environment = { ...(options.environment ?? process.env) };
  const request: Request = {
    program,
    args,
    options: { ...options, environment },
    replyTo: port2,
    replied,
  };
  thread.postMessage(request, [port2]);
  return { port: port1, replied };
};

const resultOf = (reply: Reply): ProgramResult => {
  if ('error' in reply) throw reply.error;
  return reply;
};

/** Runs a command line, and stops this thread meanwhile. */
export const runProgramSync = (
  program: string,
  args: readonly string[],
  options: ProgramOptions = {},
): ProgramResult => {
  const { port, replied } = send(program, args, options);
  if (Atomics.wait(replied, 0, 0, 120_000) === 'timed-out')
    throw new Error(`the program did not end: ${args.join(' ')}`);
  const received: { message: Reply } | undefined = receiveMessageOnPort(port);
  port.close();
  if (received === undefined) throw new Error('the thread of the program sent no result');
  return resultOf(received.message);
};

/** Runs a command line while this thread goes on, for example as the server that the command asks. */
export const runProgram = async (
  program: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> => {
  const { port } = send(program, args, options);
  const reply = await new Promise<Reply>((resolve) => {
    port.once('message', resolve);
  });
  port.close();
  return resultOf(reply);
};
