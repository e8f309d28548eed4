from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import numpy as np

import p2p
from tests.docs.snippets import ROOT, snippet

TEXT = (ROOT / "docs" / "prompt-to-prompt.md").read_text()


def test_the_library_example_runs():
    names: dict[str, Any] = {}
    exec(compile(snippet("prompt-to-prompt.md", "library"), "library", "exec"), names)
    sweep, scores = names["sweep"], names["scores"]
    assert sweep.edits.shape == (3, *sweep.source.shape)
    assert sweep.source.dtype == np.uint8
    assert scores.clip_sim_dir.shape == (3,)
    assert scores.clip_sim_dir.max() > 0.5, "a red ball becomes a blue one"
    exec(compile(snippet("prompt-to-prompt.md", "attention"), "attention", "exec"), names)
    assert names["words"].words == ("a", "red", "ball", "on", "grass")
    assert names["words"].groups.shape == (2, *names["words"].maps.shape)
    assert names["edit"].words[1] == "blue"


def test_every_option_in_the_table_belongs_to_sweep():
    table = TEXT.partition("| option | edit |\n")[2].partition("\n\n")[0]
    options = re.findall(r"`(\w+)=", table)
    assert len(options) >= 9
    assert set(options) <= {field.name for field in fields(p2p.SweepRequest)}
