"""The sub-commands, ``pairforge NAME …``: each is a function of a module, ``main(arguments) -> int``."""

from __future__ import annotations

import importlib
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from conf.compose import ConfigError
from pipeline.errors import NOT_THE_OUTPUT, RunError, unwritable


@dataclass(frozen=True)
class Command:
    """``module`` is imported when the command is called; ``usage`` and ``about`` are its line of the help."""

    module: str
    usage: str
    about: str
    function: str = "main"


WIDTH = 100
"""Columns of the help: what fits beside an editor on a laptop's screen."""

COMMANDS = {
    "attention": Command(
        "pipeline.commands.attention",
        "attention PROMPT",
        "where the model looks for each word: attention.png",
    ),
    "completion": Command(
        "pipeline.cli.completion",
        "completion SHELL",
        "settings and commands at the Tab key: bash, zsh or fish",
    ),
    "export": Command(
        "pipeline.commands.export",
        "export OUT to=DIR",
        "Parquet for datasets and trainers; split=[0.9,0.05,0.05]",
    ),
    "finetune": Command(
        "pipeline.commands.finetune",
        "finetune …",
        "a language model learns from triples: data=… writer.model=… out=DIR",
    ),
    "pairs": Command(
        "pipeline.commands.pairs",
        "pairs …",
        "caption pairs from captions: captions.path=… writer=… out=DIR",
    ),
    "refilter": Command(
        "pipeline.commands.refilter",
        "refilter OUT out2=DIR",
        "choose again under other thresholds, without generation: filter.clip_sim_dir=0.25 …",
    ),
    "plan": Command(
        "pipeline.commands.plan",
        "plan [settings]",
        "what a run would take: pairs, rows, hours, bytes; a short probe, nothing written",
    ),
    "repair": Command("pipeline.commands.repair", "repair OUT", "make again what verify names"),
    "retry-failed": Command(
        "pipeline.commands.repair",
        "retry-failed OUT",
        "make again the units with a pair that failed",
        "retry_failed",
    ),
    "replay": Command(
        "pipeline.commands.replay",
        "replay OUT KEY [PNG]",
        "one sample made again, beside what was kept: 1 if they differ",
    ),
    "report": Command(
        "pipeline.commands.report", "report OUT", "report/index.html: the run so far, in figures and pictures"
    ),
    "status": Command(
        "pipeline.commands.status", "status OUT", "how far a run is: live, ended or killed, here or remote"
    ),
    "tune": Command(
        "pipeline.commands.tune", "tune OUT", "what other thresholds would keep: tables, and report/tune.png"
    ),
    "verify": Command(
        "pipeline.commands.verify", "verify OUT", "every digest, count, sample and image; 1 if any is damaged"
    ),
}


def run(name: str, arguments: Sequence[str]) -> int:
    """Run a sub-command; its exit code.

    Raises ConfigError for a name that is none, and RunError for what the system or a store does not let it do.
    """
    if name not in COMMANDS:
        raise ConfigError(
            f"{name!r} is neither a setting (key=value) nor a command: the commands are {', '.join(COMMANDS)}"
        )
    command = COMMANDS[name]
    function = getattr(importlib.import_module(command.module), command.function)
    try:
        return int(function(list(arguments)))
    except NOT_THE_OUTPUT:
        raise
    except OSError as error:
        what = f"the output {arguments[0]}" if " OUT" in command.usage else f"what pairforge {name} makes"
        raise RunError(unwritable(error, what)) from error


def output_of(name: str, arguments: Sequence[str]) -> str:
    """The one argument of a command that takes an output. Raises ConfigError for none or more."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise ConfigError(f"pairforge {name} takes one thing, the output: pairforge {COMMANDS[name].usage}")
    return arguments[0]


def lines() -> list[str]:
    """The commands as ``pairforge --help`` shows them, in at most 100 columns."""
    return [_line(command) for command in COMMANDS.values()]


def _line(command: Command) -> str:
    start = f"  pairforge {command.usage:<18} "
    return textwrap.fill(
        command.about, WIDTH, initial_indent=start, subsequent_indent=" " * 31, break_on_hyphens=False
    )
