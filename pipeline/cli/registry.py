"""Declares every command with its arguments. The module of a command is imported when the command runs."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Sequence
from functools import cached_property
from importlib import resources
from pkgutil import resolve_name
from typing import Any

import click
from click.shell_completion import CompletionItem

from conf.hydra_options import HydraOptions
from pipeline.cli import help_text
from pipeline.cli.completion import Folder, Settings
from pipeline.errors import NOT_THE_OUTPUT, RunError, unwritable


class HydraOption(click.Option):
    """An option that a command gets as part of its argument ``hydra``, a HydraOptions."""


class LazyCommand(click.Command):
    """A function named after the command, in a module named after it. The function's docstring is the help.

    The docstring is read from the source file, because importing the libraries of some commands takes two seconds.
    """

    def __init__(self, name: str, *params: click.Parameter, groups: Sequence[str] = ()) -> None:
        options = [param.opts[0] for param in params if isinstance(param, click.Option)]
        hydra = any(isinstance(param, HydraOption) for param in params)
        metavar = "[options]" if hydra else f"[{' | '.join(options)}]" if options else ""
        super().__init__(name, params=list(params), options_metavar=metavar)
        self.module, self.groups = name.replace("-", "_"), groups

    @cached_property
    def docstring(self) -> str:
        """The function's docstring up to the paragraph that lists what it raises."""
        source = resources.files("pipeline.commands").joinpath(f"{self.module}.py").read_text()
        functions = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
        text = next(ast.get_docstring(node) for node in functions if node.name == self.module)
        return (text or "").partition("\n\nRaises")[0]

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The arguments, then the options."""
        return sorted(super().collect_usage_pieces(ctx), key=lambda piece: piece == self.options_metavar)

    def get_short_help_str(self, limit: int = 45) -> str:
        return self.docstring.partition("\n")[0]

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write("\n" + textwrap.indent(self.docstring, "  ") + "\n")
        help_text.write_groups(formatter, self.groups)

    def invoke(self, ctx: click.Context) -> Any:
        function = resolve_name(f"pipeline.commands.{self.module}:{self.module}")
        arguments = dict(ctx.params)
        hydra = {
            param.name: arguments.pop(param.name) for param in self.params if isinstance(param, HydraOption)
        }
        if hydra:
            arguments["hydra"] = HydraOptions(**hydra)
        try:
            return function(**arguments)
        except NOT_THE_OUTPUT:
            raise
        except OSError as error:
            if self is RUN:  # it names its output itself
                raise
            out = ctx.params.get("out")
            made = f"the output {out}" if out else f"what {ctx.command_path} makes"
            raise RunError(unwritable(error, made)) from error


class Run(LazyCommand):
    """``pairforge`` without the name of a command. Its help is that of the whole."""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        COMMAND_LINE.format_help(ctx, formatter)


class CommandLine(click.Group):
    """``pairforge COMMAND …``, or a run if the first word is a setting or an option."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if "=" in args[0] or args[0].startswith(("-", "~")):
            return "", RUN, args
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        settings = [] if incomplete.startswith("-") else RUN.params[-1].shell_complete(ctx, incomplete)
        return [*super().shell_complete(ctx, incomplete), *RUN.shell_complete(ctx, incomplete), *settings]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        commands = {}
        for name, command in self.commands.items():
            arguments = [param.metavar for param in command.params if isinstance(param, click.Argument)]
            commands[" ".join(["pairforge", name, *filter(None, arguments)])] = command.get_short_help_str()
        help_text.write(formatter, commands)


OUT = click.Argument(["out"], metavar="OUT", type=Folder())
OUTPUT_MODE = (
    click.Option(["--quiet"], is_flag=True, help="Print errors alone."),
    click.Option(["--json"], is_flag=True, help="Print one line of JSON at the end."),
)
INFOS = ["all", "config", "defaults", "defaults-tree", "plugins", "searchpath"]
HYDRA = (
    HydraOption(
        ["--cfg", "-c"],
        type=click.Choice(["job", "hydra", "all"]),
        help="Print the settings; run nothing.",
    ),
    HydraOption(["--package", "-p"], metavar="PACKAGE", help="Print this part of it, like filter."),
    HydraOption(["--resolve"], is_flag=True, help="Print the values of ${…} in it."),
    HydraOption(
        ["--info", "-i"],
        is_flag=False,
        flag_value="all",
        type=click.Choice(INFOS),
        help="Print how it is composed.",
    ),
    HydraOption(
        ["--config-dir", "-cd"], metavar="DIR", type=click.Path(), help="A folder of your own options."
    ),
    HydraOption(
        ["--config-name", "-cn"], metavar="NAME", help="A configuration in it that takes config.yaml's place."
    ),
    HydraOption(["--multirun", "-m"], is_flag=True, help="Do it with each combination of values."),
    click.Option(
        ["--hydra-help"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=help_text.print_hydra_help,
        help="Print what is as in Hydra, and what is not.",
    ),
)
RUN = Run(
    "make_dataset",
    *HYDRA,
    *OUTPUT_MODE,
    Settings("[key=value …]", extra=["config"]),
)
COMMANDS = [
    LazyCommand(
        "attention",
        click.Argument(["prompt"], metavar="PROMPT"),
        *OUTPUT_MODE,
        Settings("[key=value …]", extra=["groups"]),
    ),
    LazyCommand(
        "completion", click.Argument(["shell"], type=click.Choice(["bash", "zsh", "fish"]), metavar="SHELL")
    ),
    LazyCommand("export", OUT, *OUTPUT_MODE, Settings("to=DIR …", "pipeline.export.export_settings:Export")),
    LazyCommand(
        "finetune", *OUTPUT_MODE, Settings("data=FILE …", "pipeline.finetune.finetune_settings:Finetune")
    ),
    LazyCommand(
        "pairs",
        *HYDRA,
        *OUTPUT_MODE,
        Settings("captions.path=FILE …", "conf.pairs:PairsConfig", extra=["config"]),
        groups=["writer"],
    ),
    LazyCommand("plan", *HYDRA, *OUTPUT_MODE, Settings("[key=value …]", extra=["probe", "config"])),
    LazyCommand(
        "refilter",
        OUT,
        *OUTPUT_MODE,
        Settings(
            "out2=DIR …",
            extra=["out2", "duplicates", "generate"],
            only=["filter.", "keep", "shards.samples"],
        ),
    ),
    LazyCommand("repair", OUT, *OUTPUT_MODE),
    LazyCommand(
        "replay",
        OUT,
        click.Argument(["key"], metavar="KEY"),
        *OUTPUT_MODE,
        click.Argument(["picture"], metavar="[PNG]", required=False, type=click.Path()),
    ),
    LazyCommand(
        "report",
        OUT,
        click.Option(["--watch"], is_flag=True, help="Write it again and again while the run lives."),
        *OUTPUT_MODE,
    ),
    LazyCommand("retry-failed", OUT, *OUTPUT_MODE),
    LazyCommand("status", OUT, *OUTPUT_MODE),
    LazyCommand("tune", OUT, *OUTPUT_MODE),
    LazyCommand("verify", OUT, *OUTPUT_MODE),
]


COMMAND_LINE = click.version_option(package_name="pairforge", message="pairforge %(version)s")(
    CommandLine(
        "pairforge",
        commands=COMMANDS,
        subcommand_metavar="[COMMAND] [key=value …]",
        # An option that is none of the group's is one of the run's.
        context_settings={
            "help_option_names": ["-h", "--help"],
            "max_content_width": 100,
            "ignore_unknown_options": True,
        },
    )
)
