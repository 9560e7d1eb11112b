import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { withStableNode } from './stand-ins.js';

// Runs the commands of the tour in a document, in the network of scripts/quickstart, and prints the document with the output
// that they have now. scripts/tour starts this.
//   `    $ COMMAND`, `    client$ COMMAND`    a command on the node or on the client; the indented lines after it are its output
//   `<!-- until COMMAND -->`                  waits until the command succeeds

const tourIn = /(?<=<!-- tour[^>]*-->\n)[^]*?(?=<!-- end of the tour -->)/;
const command = /^ {4}(client)?\$ (.*)$/;
const condition = /^<!-- until (.*) -->$/;

const versions = { node: process.version, kernel: release() };

const run = (
  namespace: string,
  line: string,
): { readonly status: number | null; readonly output: string } => {
  const args = ['netns', 'exec', namespace, 'bash', '-c', `exec 2>&1\n${line}`];
  const { status, stdout } = spawnSync('ip', args, {
    encoding: 'utf8',
    cwd: process.env['WORLD'],
    input: '',
    timeout: 120_000,
  });
  return { status, output: stdout };
};

const waitUntil = (line: string): void => {
  const end = Date.now() + 300_000;
  for (;;) {
    const { status, output } = run('node', line);
    if (status === 0) return;
    if (Date.now() > end) throw new Error(`not within five minutes: ${line}\n${output}`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  }
};

/** The lines of the tour, with the present output of each command in place of the old one. */
const walk = (lines: readonly string[]): readonly string[] => {
  const result: string[] = [];
  let inOutput = false;
  for (const line of lines) {
    const [, place, typed] = command.exec(line) ?? [];
    if (typed === undefined) {
      if (inOutput && (line === '' || line.startsWith('    '))) continue;
      if (inOutput) result.push('');
      inOutput = false;
      result.push(line);
      const [, awaited] = condition.exec(line) ?? [];
      if (awaited !== undefined) waitUntil(awaited);
      continue;
    }
    inOutput = true;
    result.push(line);
    const printed = withStableNode(run(place ?? 'node', typed).output, versions).trimEnd();
    if (printed !== '') result.push(...printed.split('\n').map((text) => `    ${text}`.trimEnd()));
  }
  return result;
};

const document = process.argv[2] ?? 'docs/tour.md';
const present = readFileSync(document, 'utf8');
if (!tourIn.test(present)) throw new Error(`${document} has no tour`);
process.stdout.write(present.replace(tourIn, (tour) => `${walk(tour.trimEnd().split('\n')).join('\n')}\n\n`));
