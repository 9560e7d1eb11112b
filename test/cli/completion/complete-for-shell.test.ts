import assert from 'node:assert/strict';
import { test } from 'node:test';
import { completeForShell, type FindTargets } from '../../../src/cli/completion/complete-for-shell.js';
import { commands } from '../../../src/cli/commands/registry.js';

const vips = ['10.96.0.1:443', '10.96.0.10', '[fd00::1]:443', 'default/web:http'];
const findTargets: FindTargets = async (start) =>
  vips.filter((vip) => vip.startsWith(start)).map((word) => ({ word, summary: 'TCP\tUDP' }));
const ask = (...asked: readonly string[]) => completeForShell(commands, asked, findTargets);
const inBash = (line: string) => ask('bash', line, ' \t\n"\'><=;|&(:');

test('the place of a target is completed with what is looked up', async () => {
  assert.equal(await ask('zsh', 'dump', '10.96.0.10'), '10.96.0.10\tTCP UDP\n');
  assert.equal(await ask('fish', 'dump', '-o', 'wide', 'default/'), 'default/web:http\tTCP UDP\n');
  assert.equal(await ask('fish', 'dump', '10.96.0.10', ''), '', 'it takes one');
  assert.equal(await ask('fish', 'dump', '--', '[fd'), '[fd00::1]:443\tTCP UDP\n');
});

test('bash gets back what it replaces of a word: what follows its last word break', async () => {
  assert.equal(await inBash('kube-ipvs dump 10.96.0.1'), '10.96.0.1:443\tTCP UDP\n10.96.0.10\tTCP UDP\n');
  assert.equal(await inBash('kube-ipvs dump 10.96.0.1:4'), '443\tTCP UDP\n');
  assert.equal(await inBash('kube-ipvs dump [fd00::'), '1]:443\tTCP UDP\n');
  assert.equal(await inBash('kube-ipvs dump "[fd00::'), '[fd00::1]:443\tTCP UDP\n');
  assert.equal(await inBash('kube-ipvs dump default/web\\:h'), 'http\tTCP UDP\n');
  assert.equal(await inBash('kube-ipvs dump --output=ip'), 'ipvsadm\t\n');
  assert.equal(await ask('bash', 'kube-ipvs dump --output=ip', ' '), '--output=ipvsadm\t\n');
});

test('a path is left to the shell, with what stands before it in the same word', async () => {
  assert.equal(await ask('zsh', '--config=/et'), ':file|--config=|/et\n');
  assert.equal(await inBash('kube-ipvs --config=/et'), ':file||/et\n');
  assert.equal(await inBash('kube-ipvs config validate a\\ b'), ':file||a b\n');
  assert.equal(await ask('zsh', '--source', 'a'), 'api\t\n:file||a\n');
});

test('an option that stands there already is offered again only if it may be repeated', async () => {
  assert.doesNotMatch(await ask('zsh', 'render', '-o', 'json', '--'), /--output/);
  assert.match(await ask('zsh', 'render', '-f', 'x', '--'), /--filename\t/);
  assert.equal(await ask('zsh', 'dump', '--stats=x', '--stat'), '');
});

test('what is no command is completed with nothing', async () => {
  assert.equal(await ask('zsh', 'dmup', ''), '');
  assert.equal(await ask('zsh', 'config', 'prnt', '-'), '');
  assert.equal(await ask('zsh', 'help', 'dump', ''), '');
  assert.match(await ask('zsh', 'help', 'config', ''), /^print\t.*\nvalidate\t.*\ndefaults\t.*\n$/);
});
