"""The text of ``pairforge --help``: ``help.txt`` with the commands and the groups of settings."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from importlib import resources

import click

from conf.setting_keys import GROUPS, default_of, options


def write(formatter: click.HelpFormatter, commands: Mapping[str, str]) -> None:
    """Write the help. ``commands``: a line about each command by its usage."""
    text = resources.files("pipeline.cli").joinpath("help.txt").read_text()
    top, _, rest = text.partition("COMMANDS\n")
    middle, _, bottom = rest.partition("GROUPS\n")
    formatter.write(top)
    with formatter.indentation():
        formatter.write_dl(list(commands.items()))
    formatter.write(middle)
    write_groups(formatter, GROUPS)
    formatter.write(bottom)


def print_hydra_help(ctx: click.Context, param: click.Parameter, asked: bool) -> None:
    """Print ``hydra_help.txt`` for ``--hydra-help``, and end the command."""
    if asked:
        click.echo(resources.files("pipeline.cli").joinpath("hydra_help.txt").read_text(), nl=False)
        ctx.exit()


def write_groups(formatter: click.HelpFormatter, groups: Sequence[str]) -> None:
    """Write the options of each group of settings, with a star at the default."""
    for group in groups:
        formatter.write(f"\n  {group}\n")
        default = default_of(group)
        for name, summary in options(group).items():
            label = f"  {'*' if name == default else ' '} {name:<16}  "
            text = textwrap.fill(
                summary,
                formatter.width,
                initial_indent=label,
                subsequent_indent=" " * len(label),
                break_on_hyphens=False,
            )
            formatter.write(f"{text}\n")
