"""Options that a tokenizer alone accepts or refuses, held to what a sweep of the model does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import p2p
from p2p.models.model_limits import model_limits
from p2p.sweep.option_check import find_problem

SOURCE, TARGET = "a red ball on grass", "a blue ball on grass"


@pytest.mark.parametrize(
    ("options", "method"),
    [
        ({"reweight": {"blue": 2.0}, "word_taus": {"ball": 0.3}, "only": ["ball"]}, "p2p"),
        ({"blend": {"source": "ball", "target": ["blue", "ball"], "subtract": "grass"}}, "p2p"),
        ({"alignment": [["red ball", "blue ball"]], "negative_prompt": "a cat"}, "p2p"),
        ({"self_max_size": 0.5}, "p2p"),
        ({"negative_prompt": "a cat"}, "sdedit"),
        ({"reweight": {"red": 2.0}}, "p2p"),
        ({"word_taus": {"red": 0.3}}, "p2p"),
        ({"only": ["red"]}, "p2p"),
        ({"blend": ["blue", "ball"]}, "p2p"),
        ({"blend": {"source": "ball", "target": "ball", "subtract": "boat"}}, "p2p"),
        ({"alignment": [["red ball", "blue ball"], ["ball", "ball"]]}, "p2p"),
        ({"alignment": [["a ball", "blue ball"]]}, "p2p"),
        ({"negative_prompt": "hexagon " * 20}, "p2p"),
        ({"self_max_size": 0.4}, "p2p"),
        ({"reweight": {"blue": 2.0}}, "sdedit"),
    ],
)
def test_the_check_refuses_what_a_sweep_refuses(
    sd1_folder: Path, sd1_editor: p2p.Editor, options: dict[str, Any], method: str
):
    limits, prompts = model_limits(sd1_folder), p2p.load_tokenizer(sd1_folder)
    problem = find_problem(SOURCE, TARGET, options, prompts, limits, method=method)

    def sweep() -> p2p.Sweep:
        return sd1_editor.sweep(SOURCE, TARGET, taus=(0.5,), steps=2, method=method, **options)

    if not problem:
        assert sweep().edits.any()
        return
    with pytest.raises(p2p.P2PError) as error:
        sweep()
    assert problem.endswith(str(error.value))
    assert next(iter(options)) in problem
