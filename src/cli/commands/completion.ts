import { defineCommand } from '../framework/command.js';
import { completionScripts, shells, type Shell } from '../completion/completion-scripts.js';

export const completionCommand = defineCommand({
  name: 'completion',
  summary: 'Prints what makes a shell complete commands, options, their values, files, Services and VIPs.',
  operand: { name: 'shell', summary: 'bash, zsh or fish', mandatory: true, choices: shells },
  options: {},
  examples: [
    ['source <(kube-ipvs completion bash)', 'for this bash; in ~/.bashrc for all'],
    [
      'kube-ipvs completion bash > /etc/bash_completion.d/kube-ipvs',
      'for every user, with the package bash-completion',
    ],
    ['source <(kube-ipvs completion zsh)', 'for this zsh, after compinit; in ~/.zshrc for all'],
    ['kube-ipvs completion zsh > "${fpath[1]}/_kube-ipvs"', 'for every zsh to come'],
    ['kube-ipvs completion fish > ~/.config/fish/completions/kube-ipvs.fish', 'for every fish to come'],
  ],
  requirements: 'Services and VIPs are completed only for who may read them: root.',
  exitStatuses: ['done', 'an error', 'called wrongly'],
  run: async ([shell]) => {
    // Commander has refused every other word.
    process.stdout.write(completionScripts[shell as Shell]);
    return 0;
  },
});
