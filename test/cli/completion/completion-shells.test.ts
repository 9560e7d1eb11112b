import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { commands } from '../../../src/cli/commands/registry.js';
import { targetsWithPrefix } from '../../../src/daemon/admin/completion-targets.js';
import { main } from '../../support/program.js';
import { targetsStore } from '../../support/targets-store.js';
import { TerminalScreen } from '../../support/terminal-screen.js';

// The completion in real shells, as a user has it: a line is typed, Tab is pressed, the screen is read.

const home = mkdtempSync(join(tmpdir(), 'kube-ipvs-completion-'));
after(() => rmSync(home, { recursive: true }));
mkdirSync(join(home, 'bin'));
writeFileSync(join(home, 'bin/kube-ipvs'), `#!/bin/sh\nexec ${process.execPath} ${main} "$@"\n`);
chmodSync(join(home, 'bin/kube-ipvs'), 0o755);
mkdirSync(join(home, 'manifests'));
writeFileSync(join(home, 'manifests/service one.yaml'), '');
writeFileSync(join(home, 'config.conf'), '');

/** The admin socket of a daemon that completes targets. */
const adminSocket = join(home, 'admin.sock');
const daemon = createServer((request, response) => {
  const start = new URL(request.url ?? '', 'http://localhost').searchParams.get('start') ?? '';
  void targetsWithPrefix(start, targetsStore).then((targets) =>
    response.end(JSON.stringify({ version: 1, targets })),
  );
});
before(async () => {
  daemon.listen(adminSocket);
  await once(daemon, 'listening');
});
after(() => daemon.close());

type Shell = 'bash' | 'zsh' | 'fish';

const start: Readonly<Record<Shell, string>> = {
  bash: 'bash --norc --noprofile',
  zsh: 'zsh -f',
  fish: 'fish --no-config',
};
/** As `kube-ipvs completion --help` says. */
const enforce: Readonly<Record<Shell, string>> = {
  bash: 'source <(kube-ipvs completion bash)',
  zsh: 'autoload -U compinit; compinit -u -D; source <(kube-ipvs completion zsh)',
  fish: 'function fish_prompt; echo -n "\\$ "; end; kube-ipvs completion fish | source',
};

/** A new shell with nothing of this machine's configuration, and our completion loaded. */
const openShell = async (shell: Shell): Promise<TerminalScreen> => {
  const env = `env HOME=${home} PATH=${home}/bin:$PATH PS1='$ ' KUBE_IPVS_ADMIN_SOCKET=${adminSocket}`;
  const terminal = new TerminalScreen(`cd ${home}; ${env} ${start[shell]}`, { columns: 160, rows: 40 });
  terminal.press(`${enforce[shell]}; clear; echo rea''dy`, 'Enter');
  await terminal.shows(/^ready\n.*\$ ?\n*$/);
  return terminal;
};

/** The screen ends with this line. */
const ending = (line: string): RegExp => new RegExp(`\\$ ${line.replaceAll(/[\\.|[\]$]/g, '\\$&')}\n*$`);

/** What is typed, and the command line after Tab. */
const completed: readonly (readonly [typed: string, line: string])[] = [
  ['kube-ipvs du', 'kube-ipvs dump'],
  ['kube-ipvs dump --st', 'kube-ipvs dump --stats'],
  ['kube-ipvs dump -o ipv', 'kube-ipvs dump -o ipvsadm'],
  ['kube-ipvs dump --output=y', 'kube-ipvs dump --output=yaml'],
  ['kube-ipvs config val', 'kube-ipvs config validate'],
  ['kube-ipvs config validate conf', 'kube-ipvs config validate config.conf'],
  ['kube-ipvs render -f mani', 'kube-ipvs render -f manifests/'],
  ['kube-ipvs render -f manifests/ser', 'kube-ipvs render -f manifests/service\\ one.yaml'],
  ['kube-ipvs --config=conf', 'kube-ipvs --config=config.conf'],
  ['kube-ipvs --ipvs-scheduler=wr', 'kube-ipvs --ipvs-scheduler=wrr'],
  ['kube-ipvs --ipvs-scheduler wl', 'kube-ipvs --ipvs-scheduler wlc'],
  ['kube-ipvs help rend', 'kube-ipvs help render'],
  ['kube-ipvs completion f', 'kube-ipvs completion fish'],
  ['kube-ipvs dump kube-s', 'kube-ipvs dump kube-system/kube-dns'],
  ['kube-ipvs dump shop/web:h', 'kube-ipvs dump shop/web:http'],
  ['kube-ipvs dump -o wide shop/web-2', 'kube-ipvs dump -o wide shop/web-2'],
  ['true | kube-ipvs dump -o "wi', 'true | kube-ipvs dump -o "wide"'],
];

for (const shell of ['bash', 'zsh', 'fish'] as const) {
  test(`${shell} completes commands, options, their values and files`, async () => {
    using terminal = await openShell(shell);
    for (const [typed, line] of completed) {
      terminal.press('C-u', 'C-l');
      terminal.press(typed, 'Tab');
      await terminal.shows(ending(line));
    }
  });

  test(`${shell} lists the candidates, with descriptions where the shell supports them`, async () => {
    using terminal = await openShell(shell);
    terminal.press('kube-ipvs ', 'Tab', 'Tab');
    for (const { name } of commands) await terminal.shows(new RegExp(`\\b${name}\\b`));
    if (shell !== 'bash') await terminal.shows(/config.*Show and check the configuration/);
  });
}
