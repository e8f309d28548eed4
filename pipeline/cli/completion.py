"""Completes folders and settings at the Tab key. The scripts of the shells lie beside this file."""

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
    """Reads the line as typed from ``completion.bash``, because Bash takes ``=`` for the end of a word."""

    def get_completion_args(self) -> tuple[list[str], str]:
        # The mark keeps an empty last word.
        _, *args, last = shell_completion.split_arg_string(environ["COMP_WORDS"] + "|")
        return args, last.removesuffix("|")
