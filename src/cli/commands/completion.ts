import { defineCommand } from '../framework/command.js';
import { completionScripts, shells, type Shell } from '../completion/completion-scripts.js';

export const completionCommand = defineCommand({
  name: 'completion',
  summary: 'Print a completion script for a shell',
  description: 'The script completes commands, options and their values, files, Services and VIPs.',
  operand: { name: 'shell', summary: 'bash, zsh or fish', mandatory: true, choices: shells },
  options: {},
  examples: [
    ['source <(kube-ipvs completion bash)', 'in this bash; add it to ~/.bashrc for all'],
    [
      'kube-ipvs completion bash > /etc/bash_completion.d/kube-ipvs',
      'for all users, with the package bash-completion',
    ],
    ['source <(kube-ipvs completion zsh)', 'in this zsh, after compinit; add it to ~/.zshrc for all'],
    ['kube-ipvs completion zsh > "${fpath[1]}/_kube-ipvs"', 'for every new zsh'],
    ['kube-ipvs completion fish > ~/.config/fish/completions/kube-ipvs.fish', 'for every new fish'],
  ],
  requirements: 'Completing Services and VIPs needs root.',
  exitStatuses: ['success', 'error', 'invalid command line'],
  run: async ([shell]) => {
    // Commander rejects every other word.
    process.stdout.write(completionScripts[shell as Shell]);
    return 0;
  },
});
