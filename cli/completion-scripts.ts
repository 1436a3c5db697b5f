// The scripts that make a shell ask `swain complete` at each press of Tab. Our own and not the completion library's, which
// needs a package of bash's helpers and evaluates what was typed; see services/decisions/0023-completion-scripts.md.

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

/** `swain complete` prints `VALUE<tab>DESCRIPTION` on each line, and a line with a colon and a number at the end. */
const scripts: Readonly<Record<Shell, string>> = {
  bash: String.raw`# bash completion for swain
_swain() {
  COMPREPLY=()
  local value description
  while IFS=$'\t' read -r value description; do
    [[ $value == :* ]] || COMPREPLY+=("$value")
  done < <(swain complete -- "${"$"}{COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  # After a kind and its slash the name follows at once.
  if [[ ${"$"}{#COMPREPLY[@]} -eq 1 && ${"$"}{COMPREPLY[0]} == */ ]]; then compopt -o nospace 2>/dev/null; fi
  return 0
}
complete -o default -F _swain swain
`,
  zsh: String.raw`#compdef swain
# zsh completion for swain
_swain() {
  local -a offers
  local line
  for line in "${"$"}{(@f)$(swain complete -- "${"$"}{(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -z $line || $line == :* ]] && continue
    offers+=("${"$"}{${"$"}{line%%$'\t'*}//:/\\:}:${"$"}{line#*$'\t'}")
  done
  if (( $#offers == 1 )) && [[ $offers[1] == */:* ]]; then
    _describe swain offers -S ''
  elif (( $#offers )); then
    _describe swain offers
  else
    _files
  fi
}
if [[ $funcstack[1] == _swain ]]; then _swain "$@"; else compdef _swain swain; fi
`,
  fish: String.raw`# fish completion for swain
function __swain_complete
    set -l typed (commandline -opc)
    swain complete -- $typed[2..-1] (commandline -ct) 2>/dev/null | string match -rv '^:[0-9]+$'
end
complete -c swain -f -k -a '(__swain_complete)'
complete -c swain -n '__fish_prev_arg_in -f --file --creds --data' -F
`,
};

export const scriptOf = (shell: Shell): string => scripts[shell];
