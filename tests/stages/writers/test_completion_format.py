from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.writers.completion_format import CompletionFormat, FormatError

LINES = (
    st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1)
    .map(str.strip)
    .filter(bool)
)
FORMATS = st.sampled_from(
    [
        CompletionFormat(),
        CompletionFormat("\n\n===\n\n", " => ", "<|end|>"),
        CompletionFormat("#", "%", "END"),
    ]
)


@given(FORMATS, LINES, LINES, st.text())
def test_what_is_completed_is_parsed_again_whatever_follows(
    form: CompletionFormat, instruction: str, edited: str, rest: str
) -> None:
    try:
        completion = form.completion(instruction, edited)
    except FormatError:
        assert any(mark in f"{instruction}{form.divider}{edited}"[:-1] for mark in (form.stop,)) or (
            form.divider in instruction + form.divider[:-1] or form.divider in form.divider[1:] + edited
        )
        return
    assert form.parse(completion + rest) == (instruction, edited)


@given(FORMATS, st.text(max_size=200))
def test_any_text_is_an_answer_or_has_a_reason(form: CompletionFormat, text: str) -> None:
    parsed = form.parse(text)
    if isinstance(parsed, str):
        assert parsed in {"no_stop", "no_divider", "two_dividers", "empty_answer", "many_lines"}
    else:
        assert form.parse(form.completion(*parsed)) == parsed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("make it blue\n%%\na blue ball", "no_stop"),
        ("make it blue\nEND", "no_divider"),
        ("make it blue\n%%\na blue ball\n%%\na ball\nEND", "two_dividers"),
        (" \n%%\na blue ball\nEND", "empty_answer"),
        ("make it blue\n%%\n \nEND", "empty_answer"),
        ("make it\nblue\n%%\na blue ball\nEND", "many_lines"),
    ],
)
def test_malformed(text: str, reason: str) -> None:
    assert CompletionFormat().parse(text) == reason


def test_the_published_marks() -> None:
    form = CompletionFormat()
    assert form.prompt("a red ball") == "a red ball\n##\n"
    assert form.completion("make it blue", "a blue ball") == "make it blue\n%%\na blue ball\nEND"


def test_a_prompt_has_its_separator_once() -> None:
    for caption in ("a\n##\nb", "a\n##"):
        with pytest.raises(FormatError, match="separator"):
            CompletionFormat().prompt(caption)


@pytest.mark.parametrize(
    "marks", [{"stop": ""}, {"divider": "END", "stop": "\nEND"}, {"divider": "%", "stop": "%"}]
)
def test_marks_that_cannot_be(marks: dict[str, str]) -> None:
    with pytest.raises(FormatError):
        CompletionFormat(**marks)
