from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.captions import CaptionsError, CaptionSource
from stages.captions.fields import KNOWN, check_columns, check_given, find_layout

FAMILIES = list(zip(*KNOWN.values(), strict=True))
MIXES = list(itertools.product(*KNOWN.values()))


def test_the_names_are_those_of_the_data_sets_there_are() -> None:
    assert FAMILIES == [
        ("input", "edit", "output"),
        ("caption", "instruction", "edited_caption"),
        ("original_prompt", "edit_prompt", "edited_prompt"),
    ]


@given(st.sampled_from(MIXES), st.lists(st.sampled_from(["url", "seed", "id"]), unique=True), st.randoms())
def test_one_name_for_each_role_is_found_in_any_order(mix, others, random) -> None:
    names = [*mix, *others]
    random.shuffle(names)
    assert find_layout(names, {}) == mix


@given(st.sampled_from(FAMILIES), st.sampled_from([name for known in KNOWN.values() for name in known]))
def test_a_whole_family_wins_over_a_stray_name_of_another(family, stray) -> None:
    assert find_layout(sorted({*family, stray}), {}) == family


@given(st.sampled_from(MIXES), st.sampled_from(sorted(KNOWN)))
def test_a_missing_role_is_named_with_its_possible_columns(mix, role) -> None:
    names = [name for name in mix if name not in KNOWN[role]]
    reason = find_layout(names, {})
    assert isinstance(reason, str)
    assert all(repr(name) in reason for name in (*KNOWN[role], *names))


def test_two_names_for_one_role_are_not_guessed_between() -> None:
    reason = find_layout(["input", "caption", "edit", "edited_prompt"], {})
    assert reason == (
        "the input caption could be 'input' or 'caption': drop one, or name it by captions.fields.input=…"
    )
    two_families = find_layout([*FAMILIES[0], *FAMILIES[1]], {})
    assert isinstance(two_families, str)
    assert "could be" in two_families


def test_given_names_come_first_and_the_rest_is_found() -> None:
    assert find_layout(["before", "edit", "output", "input"], {"input": "before"}) == (
        "before",
        "edit",
        "output",
    )
    assert find_layout(["a", "b", "c"], {"input": "a", "edit": "b", "output": "c"}) == ("a", "b", "c")
    reason = find_layout(["input", "edit", "output"], {"input": "imput"})
    assert reason == (
        "there is no input caption: no field 'imput' among 'input', 'edit', 'output' (did you mean input?)"
    )


def test_long_lists_of_names_are_cut() -> None:
    reason = find_layout([f"{'x' * 100}{index}" for index in range(100)], {})
    assert isinstance(reason, str)
    assert "88 more" in reason
    assert len(reason) < 700


def test_columns_without_a_pair_are_an_error_with_the_fix() -> None:
    with pytest.raises(
        CaptionsError, match=r"^a\.csv: there is no edit instruction: .* captions\.fields$"
    ) as raised:
        check_columns(
            "a.csv", ["Input", "Edits", "Output"], CaptionSource("csv", "a.csv", fields={"input": "Input"})
        )
    assert "'Edits'" in str(raised.value)
    with pytest.raises(CaptionsError, match="more than one column called 'edit'"):
        check_columns("a.csv", ["input", "edit", "edit", "output"], CaptionSource("csv", "a.csv"))
    check_columns("a.csv", ["input", "edit", "output"], CaptionSource("csv", "a.csv"))


def test_a_role_that_there_is_none_of_is_an_error() -> None:
    with pytest.raises(CaptionsError, match=r"'inptu' \(did you mean input\?\)"):
        check_given({"inptu": "a"})
