#compdef pairforge
# Unlike click's own script: no space after key=, and files after it.
_pairforge_completion() {
    local type key about
    local -a response values abouts
    response=("${(@f)$(env COMP_WORDS="${words[1,CURRENT]}" COMP_CWORD=$((CURRENT-1)) _PAIRFORGE_COMPLETE=zsh_complete pairforge)}")
    for type key about in ${response}; do
        case $type in
            dir) _path_files -/ ;;
            file) compset -P '*='; _path_files ;;
            plain)
                if [[ $key == *= ]]; then compadd -U -S '' -V settings -- "$key"
                elif [[ $about == _ ]]; then compadd -U -V words -- "$key"
                else abouts+=("$key:$about"); fi ;;
        esac
    done
    (( $#abouts )) && _describe -V words abouts -U
}
compdef _pairforge_completion pairforge
