from __future__ import annotations

import json

import pytest

from conf.config_errors import ConfigError
from pipeline.output import OutputMode, json_line, output_mode


def test_each_option_has_its_mode():
    assert output_mode(quiet=False, json=False) is OutputMode.text
    assert output_mode(quiet=True, json=False) is OutputMode.quiet
    assert output_mode(quiet=False, json=True) is OutputMode.json


def test_two_modes_are_refused():
    with pytest.raises(ConfigError, match="--quiet and --json"):
        output_mode(quiet=True, json=True)


def test_runs_of_a_sweep_are_one_object(capsys: pytest.CaptureFixture[str]):
    steps = [{"out": "a/pairs"}, {"out": "a"}]
    OutputMode.json.answer_runs("a", {"a": steps})
    merged = {"out": "a", "written": {"out": "a/pairs"}}
    assert json.loads(capsys.readouterr().out) == merged
    OutputMode.json.answer_runs("swept", {"swept/0": steps})
    assert json.loads(capsys.readouterr().out) == {"out": "swept", "runs": [merged]}
    OutputMode.text.answer_runs("swept", {"swept/0": steps})
    assert capsys.readouterr().out == ""


def test_json_is_one_line_with_rounded_floats():
    line = json_line({"τ": (0.12345678, 1), "by": {1: "a\nb"}})
    assert "\n" not in line
    assert json.loads(line) == {"τ": [0.123457, 1], "by": {"1": "a\nb"}}
