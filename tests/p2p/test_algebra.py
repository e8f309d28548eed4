from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from p2p.algebra import CrossEdit, cross_edit
from p2p.errors import P2PError
from p2p.families.tokenizing import PromptWindow
from tests import models
from tests.oracle.prompts import PromptPair, mapper, prompt_pairs

WINDOW = PromptWindow(models.clip_tokenizer(), models.TOKENS)


def edit_of(source: str, target: str, edit: str = "auto", **reweight: float) -> CrossEdit:
    return cross_edit(WINDOW.tokenize(source), WINDOW.tokenize(target), edit, reweight)


@given(prompt_pairs(), st.sampled_from(["auto", "refine"]))
def test_matrices_are_the_papers_mapper(pair: PromptPair, edit: str) -> None:
    matrices = edit_of(pair.source, pair.target, edit)
    R = torch.zeros(models.TOKENS, models.TOKENS)
    for j, sources in mapper(WINDOW.tokenizer, pair, edit, models.TOKENS).items():
        for i, factor in sources:
            R[i, j] = factor
    assert torch.equal(matrices.R, R)
    assert torch.equal(matrices.D, (R.sum(0) == 0).float())
    assert torch.equal(matrices.c, torch.ones(models.TOKENS))


@given(prompt_pairs("swap"))
def test_swapped_words_keep_their_attention_mass(pair: PromptPair) -> None:
    source = WINDOW.tokenize(pair.source)
    R = edit_of(pair.source, pair.target, "replace").R
    assert torch.allclose(
        R[: source.end + 1, : WINDOW.tokenize(pair.target).end + 1].sum(1), torch.ones(source.end + 1)
    )


def test_words_after_a_swap_of_unequal_lengths_keep_their_own_source() -> None:
    """The reference code writes mapper[j, j] here, and "on" receives the attention of "grass"."""
    R = edit_of("a ball on grass", "a hexagon on grass", "replace").R
    swapped = len(WINDOW.tokenizer.tokenize("hexagon"))
    on, grass = 3, 4
    assert R[:, on + swapped - 1].nonzero().flatten().tolist() == [on]
    assert R[:, grass + swapped - 1].nonzero().flatten().tolist() == [grass]
    assert R[2, 2 : 2 + swapped].tolist() == pytest.approx([1 / swapped] * swapped)


def test_padding_matches_itself() -> None:
    R = edit_of("a ball", "a red ball on grass").R
    end = 6
    assert torch.equal(R[:, end + 1 :], torch.eye(models.TOKENS)[:, end + 1 :])


def test_the_same_prompt_is_the_identity() -> None:
    edit = edit_of("a hexagon on grass", "a hexagon on grass", grass=-2.0)
    assert torch.equal(edit.R, torch.eye(models.TOKENS))
    assert not edit.D.any()
    assert edit.c.unique().tolist() == [-2.0, 1.0]


def test_released_tokens_keep_their_own_attention() -> None:
    edit = edit_of("a red ball", "a blue ball").released([2])
    assert not edit.R[:, 2].any()
    assert edit.D.nonzero().flatten().tolist() == [2]


def test_replace_wants_a_counterpart_for_every_word() -> None:
    with pytest.raises(P2PError, match="'and a star' stands for no word of 'a ball'; use 'auto' or 'refine'"):
        edit_of("a ball", "a ball and a star", "replace")


def test_unknown_word_to_reweight() -> None:
    with pytest.raises(
        P2PError, match="reweight: 'green' is not in 'a blue ball'; its words are a, blue, ball"
    ):
        edit_of("a red ball", "a blue ball", green=2.0)
