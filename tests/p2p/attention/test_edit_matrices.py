from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from p2p.attention.edit_matrices import CrossEdit, cross_edit
from p2p.errors import P2PError
from p2p.text.token_windows import PromptWindow
from tests import models
from tests.oracle.prompts import PromptPair, mapper, prompt_pairs

WINDOW = PromptWindow(models.clip_tokenizer(), models.TOKENS)


def edit_of(source: str, target: str, edit: str = "auto", **options: Any) -> CrossEdit:
    return cross_edit(
        WINDOW.tokenize(source), WINDOW.tokenize(target), edit, options.pop("reweight", {}), **options
    )


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
    (_, before), (_, after) = source.segments[0].specials, WINDOW.tokenize(pair.target).segments[0].specials
    assert torch.allclose(R[: before + 1, : after + 1].sum(1), torch.ones(before + 1))


def test_words_after_an_unequal_swap_keep_their_own_source() -> None:
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
    edit = edit_of("a hexagon on grass", "a hexagon on grass", reweight={"grass": -2.0})
    assert torch.equal(edit.R, torch.eye(models.TOKENS))
    assert not edit.D.any()
    assert edit.c.unique().tolist() == [-2.0, 1.0]


def test_released_tokens_keep_their_kept_attention() -> None:
    edit = edit_of("a red ball", "a blue ball").released([2])
    assert not edit.R[:, 2].any()
    assert edit.D.nonzero().flatten().tolist() == [2]


def test_replace_wants_a_counterpart_for_every_word() -> None:
    with pytest.raises(P2PError, match="'and a star' matches no word of 'a ball'; use 'auto' or 'refine'"):
        edit_of("a ball", "a ball and a star", "replace")


def test_unknown_word_to_reweight() -> None:
    with pytest.raises(
        P2PError, match="reweight: 'green' is not in 'a blue ball'; its words are a, blue, ball"
    ):
        edit_of("a red ball", "a blue ball", reweight={"green": 2.0})


def test_attention_of_removed_words_is_dropped() -> None:
    """The paper's equation takes the columns that are left as they are."""
    R = edit_of("a red ball on grass", "a ball on grass").R
    assert [row.nonzero().flatten().tolist() for row in R[:6]] == [[0], [1], [], [2], [3], [4]]
    assert R[6].nonzero().flatten().tolist() == [5, 6], "the end token, and padding at its place"
    assert R.unique().tolist() == [0.0, 1.0]


@given(prompt_pairs("add remove"))
def test_adding_is_removing_the_other_way_round(pair: PromptPair) -> None:
    there, back = edit_of(pair.source, pair.target).R, edit_of(pair.target, pair.source).R
    spoken = [
        [token for word in WINDOW.tokenize(text).words for token in word.tokens]
        for text in (pair.source, pair.target)
    ]
    assert torch.equal(there[spoken[0]][:, spoken[1]], back[spoken[1]][:, spoken[0]].T)


def test_only_the_chosen_words_take_from_the_source() -> None:
    whole = edit_of("a white cat on grass", "a red cat on snow")
    edit = edit_of("a white cat on grass", "a red cat on snow", only=("cat",))
    assert edit.D.tolist() == [float(j != 3) for j in range(models.TOKENS)]
    assert torch.equal(edit.R[:, 3], whole.R[:, 3])
    assert edit.R.sum() == 1
    assert not edit_of("a cat", "a dog", only=()).R.any()


def test_a_hand_aligns_what_the_order_of_words_would_not() -> None:
    source, target = "a red ball and a blue box", "a blue box and a red ball"
    R = edit_of(source, target, alignment=(("red ball", "red ball"), ("blue box", "blue box"))).R
    assert [R[:, j].nonzero().flatten().tolist() for j in range(1, 8)] == [[1], [6], [7], [4], [5], [2], [3]]
    assert not edit_of(source, target).R[:, 2:4].any(), "in order, only one of the two is matched"


def test_alignment_overrides_the_kind_of_edit_for_its_words_only() -> None:
    """Automatically, "small dog" would share in the attention of "cat"."""
    edit = edit_of("a cat on grass", "a small dog on sand", "refine", alignment=(("cat", "dog"),))
    assert edit.R[:, 3].nonzero().flatten().tolist() == [2]
    assert edit.D[1:6].tolist() == [0, 1, 0, 0, 1]


def test_a_hand_may_pair_words_of_any_lengths_and_several_times() -> None:
    R = edit_of("a cat and a cat", "a white dog and a white dog", alignment=(("cat", "white dog"),)).R
    assert [R[:, j].tolist()[i] for i, j in ((2, 2), (2, 3), (5, 6), (5, 7))] == [0.5] * 4
    assert R[[2, 5]].sum() == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"only": ("green",)}, "only: 'green' is not in 'a dog and a cat'; its words are a, dog, and, cat"),
        (
            {"alignment": (("dog", "cat"),)},
            "alignment: 'dog' is not in 'a cat and a star'; its words are a, cat",
        ),
        ({"alignment": (("cat", "star"),)}, "alignment: 'star' is not in 'a dog and a cat'"),
        ({"alignment": (("a", "cat"),)}, "'a' occurs 2 times in 'a cat and a star', 'cat' occurs 1 times in"),
        ({"alignment": (("cat", "dog"), ("a cat", "a cat"))}, "'cat' of 'a cat and a star' is in two pairs"),
    ],
)
def test_words_that_are_not_there_or_not_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(P2PError, match=message):
        edit_of("a cat and a star", "a dog and a cat", **options)
