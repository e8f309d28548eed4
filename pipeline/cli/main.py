"""Entry point of ``pairforge``: runs a command and turns wrong arguments into one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click
from click.shell_completion import shell_complete

from conf.messages import suggest_name
from pipeline.cli.registry import COMMAND_LINE, RUN
from pipeline.errors import USER_ERROR, print_error, reported

COMPLETE = "_PAIRFORGE_COMPLETE"
"""The environment variable in which the script of a shell asks for words."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    An error that the user can fix is one line on stderr, with a table below it where several settings differ.
    """
    try:
        return reported(lambda: _run(list(sys.argv[1:] if arguments is None else arguments)))
    except click.exceptions.Exit as end:  # of --help and --version
        return end.exit_code
    except click.UsageError as error:
        return print_error(_one_line(error), USER_ERROR)


def _run(arguments: list[str]) -> int:
    instruction = os.environ.get(COMPLETE)
    if instruction:
        return shell_complete(COMMAND_LINE, {}, "pairforge", COMPLETE, instruction)
    # Not click's own main(), which prints usage blocks and an empty line at Ctrl-C.
    command = COMMAND_LINE if arguments else RUN
    with command.make_context("pairforge", arguments) as context:
        return int(command.invoke(context))


def _one_line(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchCommand):
        message = (
            f"no command {error.command_name!r}{suggest_name(error.command_name, COMMAND_LINE.commands)}"
        )
        return f"{message}; pairforge --help lists the commands, and a setting is key=value"
    message, usage = error.format_message().rstrip("."), error.ctx.get_usage() if error.ctx else ""
    return " ".join(f"{message[0].lower()}{message[1:]}; {usage[0].lower()}{usage[1:]}".split())


if __name__ == "__main__":
    sys.exit(main())
