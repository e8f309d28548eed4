# shellcheck shell=bash
# Bash takes = for the end of a word: the function inserts only what follows the part that Bash does not replace.
_pairforge_completion() {
    local line=${COMP_LINE:0:COMP_POINT} IFS=$'\n' response type value
    local typed=${line##*[[:space:]]}
    response=$(env COMP_WORDS="$line" _PAIRFORGE_COMPLETE=bash_complete "$1")
    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain)
                COMPREPLY+=("${value#"${typed%"$2"}"}")
                [[ $value == *= ]] && compopt -o nospace ;;
        esac
    done
}
if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
    echo "pairforge: completion needs Bash 4.4 or later" >&2
else
    complete -o nosort -F _pairforge_completion pairforge
fi
