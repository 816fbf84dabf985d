/**
 * What each shell needs to ask at a Tab: it starts `sampan __complete` with the words up to the cursor, reads the
 * candidates and adds files where it is told so. What the words mean is not known here.
 */
const bash = `# What may follow on a command line of sampan, for bash 4.4 and later. For this shell:
#   source <(sampan completion bash)
# and for all to come:
#   sampan completion bash > /etc/bash_completion.d/sampan

_sampan() {
  local line=\${COMP_LINE:0:COMP_POINT} rest word words=() i typed before command answer how

  # Bash has cut the words at = and : as well; here they are whole, up to the cursor.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    rest=\${line#"\${line%%[![:blank:]]*}"}
    word=\${COMP_WORDS[i]:0:\${#rest}}
    if [[ $i -eq 0 || $rest != "$line" ]]; then words+=("$word"); else words[-1]+=$word; fi
    line=\${rest:\${#word}}
  done
  typed=\${words[-1]}
  [[ $typed == [\\"\\']* ]] && typed=\${typed:1}
  # What bash does not count to the word, it does not want again.
  before=\${typed%"$2"}

  command=$(type -P -- "\${1/#\\~/$HOME}") || command=sampan
  mapfile -t answer < <("$command" __complete "\${words[@]:1:\${#words[@]}-2}" "$typed" 2>/dev/null)
  COMPREPLY=()
  ((\${#answer[@]} > 0)) || return 0
  how=\${answer[-1]}
  unset 'answer[-1]'
  for word in "\${answer[@]}"; do
    word=\${word%%$'\\t'*}
    COMPREPLY+=("\${word#"$before"}")
  done
  [[ $how == *files* ]] && compopt -o default
  [[ $how == *dirs* ]] && compopt -o dirnames
  [[ $how == *open* ]] && compopt -o nospace
  return 0
}

complete -F _sampan sampan
`;

const zsh = `#compdef sampan
# What may follow on a command line of sampan, for zsh. Where compinit is on, for this shell:
#   source <(sampan completion zsh)
# and for all to come:
#   sampan completion zsh > "\${fpath[1]}/_sampan"

_sampan() {
  local -a answer shown space
  local line how
  answer=("\${(@f)$(\${(Q)~words[1]} __complete "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)}")
  how=$answer[-1]
  answer[-1]=()
  [[ $how == :* ]] || return 1
  for line in $answer; do
    shown+=("\${\${line%%$'\\t'*}//:/\\\\:}\${\${(M)line%%$'\\t'*}/$'\\t'/:}")
  done
  [[ $how == *open* ]] && space=(-S '')
  _describe -t words sampan shown "\${space[@]}" && return 0
  compset -P '-*='
  [[ $how == *files* ]] && { _files; return; }
  [[ $how == *dirs* ]] && { _files -/; return; }
  return 1
}

if [[ $funcstack[1] == _sampan ]]; then _sampan "$@"; else compdef _sampan sampan; fi
`;

const fish = `# What may follow on a command line of sampan, for fish. For this shell:
#   sampan completion fish | source
# and for all to come:
#   sampan completion fish > ~/.config/fish/completions/sampan.fish

function __sampan_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l answer ($words[1] __complete $words[2..-1] "$typed" 2>/dev/null)
    set -q answer[1]; or return
    set -l how $answer[-1]
    set -e answer[-1]
    if set -q answer[1]
        printf '%s\\n' $answer
        return
    end
    set -l flag (string match -r -- '^-.*=' "$typed")
    set -l path (string replace -r -- '^-.*=' '' "$typed")
    switch $how
        case '*files*'
            printf '%s\\n' "$flag"(__fish_complete_path "$path")
        case '*dirs*'
            printf '%s\\n' "$flag"(__fish_complete_directories "$path" '')
    end
end

complete -c sampan -e
complete -c sampan -f -a '(__sampan_complete)'
`;

export const SCRIPTS = { bash, fish, zsh } as const;
export type Shell = keyof typeof SCRIPTS;
