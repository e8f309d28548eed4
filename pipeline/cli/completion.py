"""Completes folders and settings at the Tab key, and adapts click's scripts to ``key=value``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import is_dataclass
from enum import Enum
from os import environ
from pkgutil import resolve_name
from typing import Any, get_args

import click
from click import shell_completion
from click.shell_completion import CompletionItem

from conf.setting_keys import is_group, options, setting_types


class Folder(click.ParamType[str]):
    """The output of a run: a folder or a URL."""

    name = "folder"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        key, equals, _ = value.partition("=")
        if equals and key.replace(".", "").isidentifier():
            self.fail(f"{value} is a setting: give the output of a run first", param, ctx)
        return value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="dir")]


class Settings(click.Argument):
    """``key=value`` arguments of a dataclass, which ``schema`` names as ``package.module:Class``.

    ``extra`` are further keys. ``only`` are the beginnings of the keys of the schema that the command takes.
    """

    def __init__(
        self,
        metavar: str,
        schema: str = "conf.schema:Config",
        extra: Sequence[str] = (),
        only: Sequence[str] = ("",),
    ) -> None:
        super().__init__(["settings"], nargs=-1, metavar=metavar)
        self.schema, self.extra, self.only = schema, extra, tuple(only)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        types = setting_types(resolve_name(self.schema))
        key, equals, value = incomplete.partition("=")
        if not equals:
            keys = (name for name in types if is_group(name) or not is_dataclass(types[name]))
            names = [*self.extra, *(name for name in keys if name.startswith(self.only))]
            return [CompletionItem(f"{name}=") for name in names if name.startswith(key)]
        choices = options(key) if is_group(key) else dict.fromkeys(_members(types.get(key)))
        items = [
            CompletionItem(f"{key}={name}", help=choices[name]) for name in choices if name.startswith(value)
        ]
        return items or [CompletionItem(incomplete, type="file")]


def _members(kind: Any) -> list[str]:
    """Return the values of an enumeration or a bool, or of one that may be None."""
    names: list[str] = []
    for part in get_args(kind) or (kind,):
        if part is bool:
            names += ["true", "false"]
        elif isinstance(part, type) and issubclass(part, Enum):
            names += part.__members__
    return names


@shell_completion.add_completion_class
class Bash(shell_completion.BashComplete):
    """Bash takes ``=`` for the end of a word, so it inserts only what follows the part that it does not replace."""

    source_template = """\
%(complete_func)s() {
    local line=${COMP_LINE:0:COMP_POINT} IFS=$'\\n' response type value
    local typed=${line##*[[:space:]]}
    response=$(env COMP_WORDS="$line" %(complete_var)s=bash_complete "$1")
    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain)
                COMPREPLY+=("${value#"${typed%%"$2"}"}")
                [[ $value == *= ]] && compopt -o nospace ;;
        esac
    done
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        # The mark keeps an empty last word.
        _, *args, last = shell_completion.split_arg_string(environ["COMP_WORDS"] + "|")
        return args, last.removesuffix("|")


@shell_completion.add_completion_class
class Zsh(shell_completion.ZshComplete):
    """Without a space after ``key=``, and with files after it."""

    source_template = """\
#compdef %(prog_name)s
%(complete_func)s() {
    local type key about
    local -a response values abouts
    response=("${(@f)$(env COMP_WORDS="${words[1,CURRENT]}" COMP_CWORD=$((CURRENT-1)) \
%(complete_var)s=zsh_complete %(prog_name)s)}")
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
compdef %(complete_func)s %(prog_name)s
"""


@shell_completion.add_completion_class
class Fish(shell_completion.FishComplete):
    """With commas in what is said about a word, and with files after ``key=``."""

    source_template = """\
function %(complete_func)s
    for item in (env COMP_WORDS=(commandline -cp) COMP_CWORD=(commandline -t) \
%(complete_var)s=fish_complete %(prog_name)s)
        set -l parts (string split -m 1 "," -- $item)
        set -l key (string match -r '^[^=]*=' -- $parts[2])
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                printf "$key%%s\\n" (__fish_complete_path (string replace -- "$key" "" $parts[2]))
            case plain
                echo $parts[2]
        end
    end
end
complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""
