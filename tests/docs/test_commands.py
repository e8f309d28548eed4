"""Every command in README and docs/ is valid: its settings compose, its sub-command exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.registry import COMMAND_LINE
from pipeline.config import resolve
from pipeline.config.resolve import read_pairs_settings
from pipeline.finetune.finetune_settings import read_settings as read_finetune
from tests.docs.snippets import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CALL = re.compile(r"(?:[A-Z_]+=\S+ )*pairforge ")


def commands() -> Iterator[Any]:
    for document in PAGES:
        blocks = "\n".join(re.findall(r"```sh\n(.*?)```", document.read_text(), re.DOTALL))
        for line in blocks.replace("\\\n", " ").splitlines():
            if CALL.match(line):
                yield pytest.param(line, id=f"{document.name}: {line[:60]}")


@pytest.mark.parametrize("line", commands())
def test_every_command_is_valid(line: str):
    parts = shlex.split(CALL.sub("", line), comments=True)
    first, *more = [word for word in parts if "…" not in word] or ["--help"]
    if "=" in first:
        resolve.compose([first, *more])
    elif first == "pairs":
        read_pairs_settings(more)
    elif first == "finetune":
        read_finetune(more)
    else:
        assert first in {*COMMAND_LINE.commands, "--help", "--version", "--cfg"}


@pytest.mark.parametrize("document", PAGES, ids=lambda path: path.name)
def test_links_resolve(document: Path):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_the_pages_have_many_commands():
    assert len(list(commands())) > 30
