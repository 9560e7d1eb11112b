import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { before, test } from 'node:test';
import { main } from '../support/program.js';
import { run } from '../support/lab-guest.js';

const cli = (...args: readonly string[]) =>
  spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' });
const dumped = (...args: readonly string[]): string => {
  const { status, stdout, stderr } = cli('dump', '--rules', ...args);
  assert.equal(status, 0, stderr);
  return stdout;
};

before(() => {
  const { status, stdout, stderr } = cli('dump', '--rules');
  assert.deepEqual(
    [status, stdout, stderr],
    [0, '', 'kube-ipvs: no packet rules of kube-ipvs on this node\n'],
  );
  assert.equal(cli('--source=examples/my-nginx.yaml', '--once').status, 0);
});

/** Without what may be written in more than one way. */
const plain = (text: string): readonly string[] =>
  text
    .replaceAll(/elements = \{[^}]*\}/g, 'elements')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => /^(table|map|set|chain) /.test(line))
    .toSorted();

test('both families are printed, with every table, set and chain that nft lists, and every comment', () => {
  const text = dumped();
  const listed = `${run('nft', 'list', 'table', 'ip', 'kube-ipvs')}${run('nft', 'list', 'table', 'ip6', 'kube-ipvs')}`;
  assert.deepEqual(plain(text), plain(listed));
  assert.ok(plain(text).length > 20);
  const comments = (from: string): readonly string[] => (from.match(/comment "[^"]*"/g) ?? []).toSorted();
  assert.deepEqual(comments(text), comments(listed));
  assert.match(text, /10\.96\.88\.88 \. tcp \. 80/);
});

test('a target leaves the elements of one virtual server', () => {
  assert.match(dumped('10.96.88.88:80'), /10\.96\.88\.88 \. tcp \. 80/);
  assert.doesNotMatch(dumped('10.96.88.88:81'), /10\.96\.88\.88 \. tcp/);
  assert.doesNotMatch(dumped('10.96.88.89'), /10\.96\.88\.88/);
});

test('JSON and YAML hold tables, sets with their elements, chains and rules', () => {
  const { tables } = JSON.parse(dumped('-o', 'json')) as {
    readonly tables: readonly {
      readonly family: string;
      readonly sets: readonly { readonly name: string; readonly elements: readonly object[] }[];
      readonly chains: readonly {
        readonly name: string;
        readonly rules: readonly { readonly rule: string }[];
      }[];
    }[];
  };
  assert.deepEqual(
    tables.map(({ family }) => family),
    ['ip', 'ip6'],
  );
  const services = tables[0]?.sets.find(({ name }) => name === 'cluster-ip');
  assert.deepEqual(services?.elements, [{ key: ['10.96.88.88', 'TCP', 80] }]);
  assert.ok(tables[0]?.chains.every(({ rules }) => rules.every(({ rule }) => rule !== '')));
  assert.match(dumped('-o', 'yaml'), /family: ip6/);
});

test('ipvsadm is no format of rules', () => {
  const { status, stderr } = cli('dump', '--rules', '-o', 'ipvsadm');
  assert.equal(status, 2);
  assert.match(stderr, /--rules supports only -o table, json and yaml/);
});
