"""``pairforge completion SHELL``: prints the script that a shell evaluates."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

VARIABLE = "_PAIRFORGE_COMPLETE"
"""The environment variable by which a script asks ``pairforge`` for words."""


def completion(shell: str) -> int:
    """Print the script that completes commands, settings and folders at the Tab key.

    bash, zsh:  eval "$(pairforge completion bash)"
    fish:       pairforge completion fish | source
    """
    command_line = click.get_current_context().find_root().command
    shell_class = get_completion_class(shell)
    assert shell_class is not None, shell
    print(shell_class(command_line, {}, "pairforge", VARIABLE).source(), end="")
    return 0
