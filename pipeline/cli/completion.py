"""``pairforge completion SHELL``: what makes bash, zsh or fish complete commands, options of groups and settings."""

from __future__ import annotations

from collections.abc import Sequence

from conf.compose import GROUPS, ConfigError, known_keys, options
from pipeline.cli.output import Voice
from pipeline.cli.registry import COMMANDS

# The words are in the script: to ask pairforge for them at every key would take a second each.
BASH = """\
_pairforge() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" typed="${{COMP_LINE:0:COMP_POINT}}"
  typed="${{typed##* }}"
  COMPREPLY=($(compgen -W "{words}" -- "$typed"))
  # Where = parts words, as it does in bash, only what follows it is to be completed.
  if [[ "$typed" == *=* && "$word" != *=*  ]]; then COMPREPLY=("${{COMPREPLY[@]#*=}}"); fi
  if [[ "${{COMPREPLY[*]}}" == *= ]]; then compopt -o nospace 2> /dev/null; fi
  # A setting that is none of these may be a file's.
  if [[ ${{#COMPREPLY[@]}} -eq 0 ]]; then COMPREPLY=($(compgen -f -- "${{typed#*=}}")); fi
}}
complete -F _pairforge pairforge
"""
SCRIPTS = {
    "bash": BASH,
    "zsh": "autoload -U +X bashcompinit && bashcompinit\n" + BASH,
    "fish": 'complete -c pairforge -a "{words}"\n',
}


def main(arguments: Sequence[str]) -> int:
    """Print the script; 0. Raises ConfigError for a shell that is none of the three."""
    if len(arguments) != 1 or arguments[0] not in SCRIPTS:
        raise ConfigError(
            f"pairforge {COMMANDS['completion'].usage}: the shell is one of {', '.join(SCRIPTS)}; "
            'for this shell: eval "$(pairforge completion bash)"'
        )
    print(SCRIPTS[arguments[0]].format(words=" ".join(words())), end="")
    return 0


def words() -> list[str]:
    """Whatever may stand after ``pairforge``: commands, each group with each of its options, and every key."""
    chosen = [f"{group}={option}" for group in GROUPS for option in options(group)]
    keys = [f"{key}=" for key in known_keys() if key not in GROUPS]
    return [*COMMANDS, *chosen, *keys, "--help", "--cfg", *(v.value for v in Voice if v.value)]
