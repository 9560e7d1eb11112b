import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { runLine, savedTable } from '../support/lab-guest.js';
import { mutationsIn, logWithoutTrace, traceDaemons } from '../support/netlink-trace.js';
import { ready, serviceObject, sliceObject } from '../support/objects.js';
import { renderedTable } from '../support/rendered.js';
import { elapse } from '../support/virtual-clock.js';

// Whatever befalls the files, the kernel is as `render` says of what they said last, and comes to be as it says of what they say.

const scratch = mkdtempSync(join(tmpdir(), 'file-faults-'));
const folder = join(scratch, 'manifests');
const fileOf = (name: string): string => join(folder, `${name}.yaml`);
let daemon: DaemonProcess;

/** A Service with one pod. */
const textOf = (number: number, pod: number): string => {
  const items = [
    serviceObject(`s${number}`, { clusterIP: `10.96.0.${number}`, ports: ['http:80'] }),
    sliceObject(`s${number}`, [ready(`10.244.${number}.${pod}`)], { ports: ['http:80'] }),
  ];
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
};

const rendered = (): readonly string[] =>
  renderedTable(
    readdirSync(folder)
      .filter((name) => name.endsWith('.yaml') && statSync(join(folder, name)).isFile())
      .map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') })),
    'n1',
  );

const converges = async (): Promise<void> => {
  const wanted = rendered();
  try {
    await eventually(() => assert.deepEqual(savedTable(), wanted));
  } catch (error) {
    console.log(logWithoutTrace(daemon.log).slice(-5_000));
    throw error;
  }
};

/** What it sent has reached its log. */
const isQuiet = (): Promise<void> =>
  eventually(async () => {
    const { length } = daemon.log;
    await elapse(500);
    assert.equal(daemon.log.length, length);
  });

/** A step after which the daemon is to say so and leave the kernel as it is. */
const staysThrough = async (step: () => void, said: RegExp): Promise<void> => {
  await isQuiet();
  const from = daemon.log.length;
  step();
  await eventually(() => assert.match(logWithoutTrace(daemon.log.slice(from)), said));
  await elapse(500);
  assert.deepEqual(mutationsIn(daemon.log.slice(from)), []);
};

before(async () => {
  traceDaemons();
  mkdirSync(folder);
  for (const number of [1, 2, 3]) writeFileSync(fileOf(`s${number}`), textOf(number, 1));
  daemon = new DaemonProcess([`--source=${folder}`, '--hostname-override=n1', '--ipvs-min-sync-period=0s']);
  await converges();
});
after(async () => {
  assert.equal(await daemon.stop(), 0, logWithoutTrace(daemon.log));
  rmSync(scratch, { recursive: true });
});

test('a file that is written bit by bit', async () => {
  const text = textOf(1, 2);
  const half = text.length / 2;
  await staysThrough(
    () => writeFileSync(fileOf('s1'), ''),
    /s1\.yaml is empty.*its last readable content stays in force/,
  );
  await staysThrough(
    () => writeFileSync(fileOf('s1'), text.slice(0, half)),
    /s1\.yaml.*its last readable content stays in force/,
  );
  appendFileSync(fileOf('s1'), text.slice(half));
  await converges();
});

test('one that is broken, and one of bytes that are no text', async () => {
  await staysThrough(() => writeFileSync(fileOf('s2'), 'kind: [\n'), /s2\.yaml:\d+: .*stays/);
  await staysThrough(() => writeFileSync(fileOf('s2'), Buffer.alloc(100_000, 0x80)), /s2\.yaml.*stays/);
  writeFileSync(fileOf('s2'), textOf(2, 2));
  await converges();
});

test('one that is swapped by a symbolic link', async () => {
  for (const pod of [1, 2]) {
    mkdirSync(join(scratch, `data${pod}`));
    writeFileSync(join(scratch, `data${pod}`, 's3.yaml'), textOf(3, 10 + pod));
  }
  const swap = (pod: number): void => {
    symlinkSync(join(scratch, `data${pod}`, 's3.yaml'), join(scratch, 'next'));
    renameSync(join(scratch, 'next'), fileOf('s3'));
  };
  for (const pod of [1, 2, 1]) {
    swap(pod);
    await converges();
  }
});

test('one that goes and comes back; no other Service is touched', async () => {
  await isQuiet();
  const from = daemon.log.length;
  const text = readFileSync(fileOf('s1'), 'utf8');
  rmSync(fileOf('s1'));
  await converges();
  writeFileSync(fileOf('s1'), text);
  await converges();
  await isQuiet();
  const sent = mutationsIn(daemon.log.slice(from)).filter((line) => line.startsWith('ipvs '));
  assert.ok(sent.length >= 3);
  for (const line of sent) assert.match(line, /address=10\.96\.0\.1 /);
});

test('what cannot be read keeps what it said: a link to itself, a folder, a FIFO; all others are followed', async () => {
  let pod = 20;
  for (const put of [
    () => symlinkSync(fileOf('s2'), fileOf('s2')),
    () => mkdirSync(fileOf('s2')),
    () => runLine(`mkfifo ${fileOf('s2')}`),
  ]) {
    writeFileSync(fileOf('s2'), textOf(2, pod));
    await converges();
    const wanted = rendered();
    renameSync(fileOf('s2'), join(scratch, 'aside'));
    put();
    // A moment without it may be seen: the Service is gone for that long, and does not come back by what cannot be read.
    const from = daemon.log.length;
    await eventually(() => assert.match(logWithoutTrace(daemon.log), /s2\.yaml/));
    rmSync(fileOf('s2'), { recursive: true });
    renameSync(join(scratch, 'aside'), fileOf('s2'));
    await eventually(() => assert.deepEqual(savedTable(), wanted, logWithoutTrace(daemon.log.slice(from))));
    pod += 1;
    writeFileSync(fileOf('s1'), textOf(1, pod));
    await converges();
  }
});

test('a FIFO, a folder and a file that is far too large beside the others hold up nobody', async () => {
  runLine(`mkfifo ${fileOf('pipe')}`);
  mkdirSync(fileOf('directory'));
  writeFileSync(fileOf('large'), '');
  truncateSync(fileOf('large'), 2 ** 32);
  for (const what of [
    /pipe\.yaml is not a regular file/,
    /directory\.yaml is not a regular/,
    /large\.yaml has 4294967296 bytes/,
  ])
    await eventually(() => assert.match(logWithoutTrace(daemon.log), what));
  writeFileSync(fileOf('s1'), textOf(1, 30));
  const changed = `-a -t 10.96.0.1:80 -r 10.244.1.30:80 -m -w 1`;
  await eventually(() => assert.ok(savedTable().includes(changed)));
  for (const name of ['pipe', 'directory', 'large']) rmSync(fileOf(name), { recursive: true });
  await converges();
});

test('the folder goes and comes back', async () => {
  await staysThrough(() => renameSync(folder, join(scratch, 'gone')), /manifests: ENOENT/);
  mkdirSync(folder);
  for (const number of [1, 2, 3]) writeFileSync(join(scratch, 'gone', `s${number}.yaml`), textOf(number, 40));
  rmSync(folder, { recursive: true });
  renameSync(join(scratch, 'gone'), folder);
  await converges();
});

test('thousands of quick writes', async () => {
  for (let write = 0; write < 3_000; write += 1) {
    writeFileSync(fileOf(`s${1 + (write % 3)}`), textOf(1 + (write % 3), 50 + (write % 7)));
    if (write % 500 === 0) await elapse(60);
  }
  await converges();
});
