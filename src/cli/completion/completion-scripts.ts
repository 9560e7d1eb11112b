// Each script calls `kube-ipvs __complete`, which prints a line for each candidate: the word, a tab and its description. Where a path
// is valid, the last line is `:file|BEFORE|START`: the part of the word before the path, and the beginning of the path.

const bash = `# bash completion for kube-ipvs. Load it with:
#   source <(kube-ipvs completion bash)
_kube_ipvs() {
  local line prefix
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == :file\\|* ]]; then
      line=\${line#*|} prefix=\${line%%|*}
      compopt -o filenames 2>/dev/null
      local IFS=$'\\n'
      COMPREPLY+=($(compgen -P "$prefix" -f -- "\${line#*|}"))
    else
      COMPREPLY+=("\${line%%$'\\t'*}")
    fi
  done < <("\${COMP_WORDS[0]/#\\~/$HOME}" __complete bash "\${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
  [[ \${#COMPREPLY[@]} -ne 1 || \${COMPREPLY[0]} != *[=/] ]] || compopt -o nospace 2>/dev/null
}
complete -F _kube_ipvs kube-ipvs
`;

const zsh = `#compdef kube-ipvs
# zsh completion for kube-ipvs. Load it with:
#   source <(kube-ipvs completion zsh)    after compinit; or write it to a file _kube-ipvs in a directory of $fpath
_kube-ipvs() {
  local word summary
  local -a candidates given
  # Inside an open quote, only PREFIX is without it.
  given=("\${(@Q)words[1,CURRENT-1]}" "\${(Q)PREFIX}")
  while IFS=$'\\t' read -r word summary; do
    if [[ $word == ':file|'* ]]; then
      [[ $word == ':file||'* ]] || compset -P '*='
      _files
    else
      candidates+=("\${word//:/\\\\:}:$summary")
    fi
  done < <("\${given[1]/#\\~/$HOME}" __complete zsh "\${(@)given[2,-1]}" 2>/dev/null)
  (( \${#candidates} )) && _describe -V kube-ipvs candidates
}
if [[ $funcstack[1] == _kube-ipvs ]]; then
  _kube-ipvs
else
  compdef _kube-ipvs kube-ipvs
fi
`;

const fish = `# fish completion for kube-ipvs. Load it with:
#   kube-ipvs completion fish | source    or write it to ~/.config/fish/completions/kube-ipvs.fish
function __kube_ipvs_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct | string trim -l -c '"\\'')
    for line in ($words[1] __complete fish $words[2..-1] "$current" 2>/dev/null)
        if string match -q ':file|*' -- $line
            set -l parts (string split -m 2 '|' -- $line)
            for path in (__fish_complete_path $parts[3])
                echo "$parts[2]$path"
            end
        else
            echo $line
        end
    end
end
complete -c kube-ipvs -f -k -a '(__kube_ipvs_complete)'
`;

/** The supported shells. */
export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** The completion script of each shell. */
export const completionScripts: Readonly<Record<Shell, string>> = { bash, zsh, fish };
