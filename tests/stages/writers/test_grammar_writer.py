from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from miniworld.check_pair import Verdict, judge
from miniworld.scene import random_scene
from miniworld.scene_captions import caption
from stages.writers.base import Answer, EditRequest
from stages.writers.grammar_writer import GrammarWriter

SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS, SEEDS)
def test_what_it_writes_is_right(world: int, seed: int) -> None:
    text = caption(random_scene(np.random.default_rng(world)))
    (answer,) = GrammarWriter().write([EditRequest(text, seed)])
    assert isinstance(answer, Answer)
    assert not answer.reason
    assert judge(text, answer.instruction, answer.edited) is Verdict.right


def test_seeds_vary_and_companies_do_not() -> None:
    text = caption(random_scene(np.random.default_rng(1)))
    asked = [EditRequest(text, seed) for seed in range(40)]
    together = GrammarWriter().write(asked)
    assert together == [GrammarWriter().write([one])[0] for one in asked]
    assert len({answer.instruction for answer in together}) > 20


def test_another_world_is_refused() -> None:
    (answer,) = GrammarWriter().write([EditRequest("a girl riding a horse", 0)])
    assert answer == Answer(reason="unknown_caption", text="a girl riding a horse")
