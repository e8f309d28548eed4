# Unlike click's own script: commas in the text about a word, and files after key=.
function _pairforge_completion
    for item in (env COMP_WORDS=(commandline -cp) COMP_CWORD=(commandline -t) _PAIRFORGE_COMPLETE=fish_complete pairforge)
        set -l parts (string split -m 1 "," -- $item)
        set -l key (string match -r '^[^=]*=' -- $parts[2])
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                printf "$key%s\n" (__fish_complete_path (string replace -- "$key" "" $parts[2]))
            case plain
                echo $parts[2]
        end
    end
end
complete --no-files --command pairforge --arguments "(_pairforge_completion)"
