"""The scripts. Each hands over the command up to the cursor and reads ``type TAB value TAB help``.

click's own scripts take bash's words, which end at every ``:`` and ``=``, so that no URI comes
through whole, and put a space behind ``duckdb://``.
"""

BASH = """\
# Completion of mp for bash 4.4 or newer.
_mp_completion() {
    local type value help
    COMPREPLY=()
    while IFS=$'\\t' read -r type value help; do
        case $type in
            file) compopt -o default ;;
            open) compopt -o nospace; COMPREPLY+=("$value") ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(%(complete_var)s=bash_complete COMP_WORDS="${COMP_LINE:0:COMP_POINT}" \\
        COMP_WORDBREAKS="$COMP_WORDBREAKS" "${1/#\\~/$HOME}" 2>/dev/null)
}
complete -o nosort -F _mp_completion mp mixpanel-fetch
"""

ZSH = """\
#compdef mp mixpanel-fetch
# Completion of mp for zsh.
_mp_completion() {
    local line
    local -a parts plain open
    for line in "${(@f)$(%(complete_var)s=zsh_complete \\
        COMP_WORDS="${(j: :)words[1,CURRENT]}" ${~words[1]} 2>/dev/null)}"; do
        parts=("${(@ps:\\t:)line}")
        case $parts[1] in
            file) _files ;;
            open) open+=("${parts[2]//:/\\\\:}${parts[3]:+:$parts[3]}") ;;
            plain) plain+=("${parts[2]//:/\\\\:}${parts[3]:+:$parts[3]}") ;;
        esac
    done
    [[ $PREFIX == --*=* ]] && compset -P 1 '*='
    (( $#plain )) && _describe -V values plain
    (( $#open )) && _describe -V values open -S ''
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _mp_completion "$@"
elif (( $+functions[compdef] )); then
    compdef _mp_completion mp mixpanel-fetch
fi
"""

FISH = """\
# Completion of mp for fish.
function _mp_completion
    set -lx COMP_WORDS (commandline -cp | string collect)
    set -lx %(complete_var)s fish_complete
    set -l command (commandline -opc)[1]
    for line in (eval $command 2>/dev/null)
        set -l parts (string split \\t -- $line)
        if test "$parts[1]" = file
            __fish_complete_path "$parts[2]"
        else
            printf '%%s\\t%%s\\n' $parts[2] "$parts[3]"
        end
    end
end
complete --no-files --command mp --arguments '(_mp_completion)'
complete --no-files --command mixpanel-fetch --arguments '(_mp_completion)'
"""
