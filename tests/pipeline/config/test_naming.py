from __future__ import annotations

from pathlib import Path

import pytest

from conf.compose import ConfigError
from pipeline.config import naming, resolve


def test_what_comes_along_and_what_python_finds_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_part.py").write_text("raise RuntimeError('not to be imported yet')")
    for name in ("ddim", "own_part", "own_part.deeper"):
        assert not list(naming.problems("sampler.name", name, ["ddim", "euler"]))


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "ddim ", "nowhere.at.all"])
def test_what_is_neither_is_told(name: str):
    (said,) = naming.problems("sampler.name", name, ["ddim", "euler"])
    assert said.startswith(f"sampler.name={name} is none of ddim, euler, and Python finds no module")


@pytest.mark.parametrize(
    ("setting", "meant"),
    [
        ("sampler.name=dpmp_2m", "dpmpp_2m"),
        ("captions.kind=jsnl", "jsonl"),
        ("captions.kind=datset", "dataset"),
    ],
)
def test_a_slip_is_refused_with_what_was_meant(setting: str, meant: str):
    with pytest.raises(ConfigError, match=rf"{setting} is none of .* \(did you mean {meant}\?\)$"):
        resolve.checked(resolve.compose([setting]))
