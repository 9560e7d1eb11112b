import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** The pods that answered, of each line that shows ten of them. */
const answersIn = (output: string): readonly (readonly string[])[] =>
  output
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((words) => words.length === 10 && words.every((word) => /^pod\d$/.test(word)));

const shows = (kernel: string): void => {
  const { status, stdout, stderr } = spawnSync(join(root, 'scripts/quickstart'), {
    encoding: 'utf8',
    timeout: 800_000,
    env: { ...process.env, KUBE_IPVS_LAB_KERNEL: kernel },
  });
  assert.equal(status, 0, stdout + stderr);

  const [fromClient = [], fromNode = [], sticking = [], ...more] = answersIn(stdout);
  assert.deepEqual(more, [], stdout);
  for (const answers of [fromClient, fromNode]) {
    assert.deepEqual(new Set(answers), new Set(['pod1', 'pod2', 'pod3']), stdout);
    for (let index = 3; index < 10; index += 1) assert.equal(answers[index], answers[index - 3], stdout);
  }
  assert.equal(new Set(sticking).size, 1, stdout);
  assert.notEqual(sticking[0], 'pod2', stdout);

  const [before = '', after = ''] = stdout.split('$ kube-ipvs dump').slice(1);
  assert.match(before, /TCP 10\.96\.88\.88:80 .* rr /);
  assert.match(before, /10\.244\.0\.12:8080 .*1 +\d+ +\d+\n/);
  assert.match(after, /TCP 10\.96\.88\.88:80 .* sh /);
  assert.match(after, /10\.244\.0\.12:8080 +0 /);
  assert.match(after, /10\.244\.0\.13:8080 +1 /);
};

// Debian's packaged kernel is what the first run on a fresh machine has.
for (const kernel of ['guest', 'packaged'])
  test(`three pods answer in turn, one leaves, then a client sticks to one pod: kernel ${kernel}`, () => {
    shows(kernel);
  });
