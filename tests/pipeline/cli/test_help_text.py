from __future__ import annotations

import re
from importlib import resources

import click
import pytest
from omegaconf import OmegaConf

from conf.setting_keys import GROUPS, default_of, options
from pipeline.cli import help_text
from pipeline.config import resolve


def written(width: int) -> str:
    formatter = click.HelpFormatter(width=width)
    help_text.write(formatter, {"pairforge status OUT": "Show how far a run is: live, ended or killed."})
    return formatter.getvalue()


@pytest.mark.parametrize("width", [78, 100])
def test_no_line_is_wider_than_the_terminal(width: int):
    assert max(map(len, written(width).splitlines())) <= max(width, 79)


def test_the_commands_and_the_groups_stand_in_their_places():
    text = written(100)
    assert (
        text.index("Commands (") < text.index("pairforge status OUT  Show how far") < text.index("Exit codes")
    )
    assert text.index("A group is chosen") < text.index("\n  captions\n") < text.index("Examples of keys")
    assert not re.search("COMMANDS|GROUPS", text)


@pytest.mark.parametrize("group", [*GROUPS, "writer"])
def test_a_star_marks_the_default_of_each_group_alone(group: str):
    formatter = click.HelpFormatter(width=100)
    help_text.write_groups(formatter, [group])
    names = re.findall(r"^  ([* ]) (\S+)  ", formatter.getvalue(), re.MULTILINE)
    assert [name for _, name in names] == list(options(group))
    assert [name for mark, name in names if mark == "*"] == list(filter(None, [default_of(group)]))


def test_the_defaults_it_names_are_those_of_the_schema():
    text = resources.files("pipeline.cli").joinpath("help.txt").read_text()
    config = resolve.compose([])
    named = dict(re.findall(r"^  ([a-z_.]+)=(\S+)  ", text, re.MULTILINE))
    assert len(named) > 5
    for key, value in named.items():
        default = OmegaConf.select(OmegaConf.structured(config), key, throw_on_missing=True)
        assert value in ("N", str(getattr(default, "value", default)).lower()), key
