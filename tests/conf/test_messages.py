from __future__ import annotations

import pytest

from conf.messages import error_line, suggest_name, typed_error_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\n  two\tthree"), "one two three"),
        (ValueError(" \n"), "ValueError"),
        (KeyError(), "KeyError"),
        (ValueError("a" * 20), "a" * 20),
        (ValueError("a" * 21), "a" * 19 + "…"),
    ],
)
def test_an_error_becomes_one_short_line(error: Exception, line: str) -> None:
    assert error_line(error, limit=20) == line


def test_the_nearest_known_names_are_suggested() -> None:
    known = ["ViT-L-14", "ViT-B-32", "RN50"]
    assert suggest_name("vit-l-14", known) == " (did you mean ViT-L-14?)"
    assert suggest_name("ViT-B-14", known, most=2) == " (did you mean ViT-L-14 or ViT-B-32?)"
    assert suggest_name("unlike", known) == ""


def test_a_library_s_error_is_named_with_its_class() -> None:
    assert typed_error_line(ValueError("one\n two")) == "ValueError: one two"
    assert typed_error_line(KeyError()) == "KeyError"
