from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from pipeline.cli.registry import COMMAND_LINE
from pipeline.config import resolve
from pipeline.execution import metrics
from tests.docs.snippets import ROOT

TEXT = (ROOT / "docs" / "cluster.md").read_text()
BLOCKS = "\n".join(re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)).replace("\\\n", " ")


def words(line: str) -> list[str]:
    """The arguments of the pairforge command in a line of shell, which may quote the command."""
    parts = shlex.split(line, comments=True)
    quoted = [word for word in parts if word.startswith("pairforge ")]
    parts = shlex.split(quoted[0]) if quoted else parts
    if "deploy/slurm.sbatch" in parts:
        return parts[parts.index("deploy/slurm.sbatch") + 1 :]
    start = parts.index("pairforge") + 1
    ends = [parts.index(word) for word in parts[start:] if word.endswith(";")]
    return [word.rstrip(";") for word in parts[start : ends[0] + 1 if ends else None]]


def commands() -> Iterator[str]:
    return (line for line in BLOCKS.splitlines() if "pairforge " in line or "slurm.sbatch" in line)


@pytest.mark.parametrize("line", commands())
def test_every_command_is_valid(line: str):
    first, *more = words(line)
    if "=" in first or first == "plan":
        resolve.checked(resolve.compose([first, *more] if "=" in first else more))
    else:
        assert first in COMMAND_LINE.commands
        assert len(more) == 1


def test_every_setting_in_the_text_is_valid():
    prose = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
    settings = re.findall(r"`((?:cluster|tracker)\.\w+=[\w.]+)`", prose)
    assert len(settings) >= 3
    for setting in settings:
        resolve.checked(resolve.compose([setting]))


def test_the_table_lists_the_series_of_the_code():
    listed = re.findall(r"^\| `(ray_\w+)` \| (\w+) \| (?:`(\w+)`)? ?\| (.+) \|$", TEXT, re.MULTILINE)
    exported = [
        (
            f"ray_{series.name}{'_total' if series.kind is metrics.Counter else ''}",
            series.kind.__name__.lower(),
            "".join(series.labels),
            series.about,
        )
        for series in metrics.SERIES
    ]
    assert listed == exported


def test_links_resolve():
    for target in re.findall(r"\]\(([^)#]+)", TEXT):
        assert (ROOT / "docs" / target).exists(), target
