import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { flagTable } from '../../../src/config/flag-table.js';
import { longOptionName } from '../../../src/cli/framework/command.js';
import { manPage } from '../../../src/cli/help/man-page.js';
import { commands } from '../../../src/cli/commands/registry.js';

const page = manPage(commands, { version: '1.2.3', date: '2026-11-23' });
const pipe = (program: string, ...args: readonly string[]) =>
  spawnSync(program, args, { encoding: 'utf8', input: page });
/** As a terminal shows it, without bold and underlining. */
const text = pipe('mandoc', '-Tutf8', '-Owidth=200').stdout.replaceAll(
  new RegExp(`.${String.fromCodePoint(8)}`, 'g'),
  '',
);

test('groff and mandoc have nothing to warn of', () => {
  assert.deepEqual(pipe('groff', '-man', '-ww', '-Tutf8', '-z').stderr, '');
  const { status, stdout, stderr } = pipe('mandoc', '-Tlint');
  assert.deepEqual([status, stdout, stderr], [0, '', '']);
});

test('it has every command, option, flag and exit status', () => {
  assert.match(text, /kube-ipvs 1\.2\.3 +2026-11-23 +KUBE-IPVS\(8\)\n/);
  for (const command of commands)
    for (const action of 'commands' in command ? command.commands : [command]) {
      assert.ok(text.includes(action.summary), action.name);
      for (const name of Object.keys(action.options)) assert.ok(text.includes(longOptionName(name)), name);
      for (const meaning of action.exitStatuses) assert.ok(text.includes(meaning), meaning);
    }
  for (const { name } of flagTable) assert.match(text, new RegExp(`\n +(-v, )?--${name}[ =\n]`));
});

test('an example can be copied: letters that roff changes are as they were', () => {
  assert.match(text, /\n +kube-ipvs dump '\[fd00::a\]:53' --stats\n/);
  assert.match(text, /\n +kube-ipvs completion zsh > "\$\{fpath\[1\]\}\/_kube-ipvs"\n/);
  assert.match(text, /\n +kube-ipvs completion fish > ~\/\.config\/fish\/completions\/kube-ipvs\.fish\n/);
});
