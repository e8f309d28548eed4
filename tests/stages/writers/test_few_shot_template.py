from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.setting_keys import options
from stages.writers import few_shot_template
from stages.writers.base import WriterError

LINES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1)
EXAMPLES = few_shot_template.load_template("instructpix2pix")


@given(LINES, LINES, st.sampled_from(["", "Sure!\n```json\n"]), st.sampled_from(["", "\n```\nIs that good?"]))
def test_json_answers_are_read_whatever_stands_around(
    instruction: str, edited: str, before: str, after: str
) -> None:
    text = json.dumps({"instruction": instruction, "edited_caption": edited})
    assert EXAMPLES.parse(before + text + after) == (instruction, edited)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("make it blue", "no_json"),
        ('{"instruction": "make it', "no_json"),
        ("{" * 100_000, "no_json"),
        ('{"instruction": "make it blue"}', "not_the_schema"),
        ('{"instruction": "", "edited_caption": "a"}', "not_the_schema"),
        ('{"instruction": 3, "edited_caption": "a"}', "not_the_schema"),
        ('{"instruction": "a\\nb", "edited_caption": "a"}', "not_the_schema"),
        ('{"instruction": "a", "edited_caption": "b", "why": "c"}', "not_the_schema"),
    ],
)
def test_malformed_json(text: str, reason: str) -> None:
    assert EXAMPLES.parse(text) == reason


def test_messages_hold_the_examples_and_end_with_the_caption() -> None:
    *examples, last = EXAMPLES.messages("a {red} ball")
    assert last == {"role": "user", "content": "Caption: a {red} ball"}
    assert [message["role"] for message in examples] == ["system"] + ["user", "assistant"] * 3
    assert EXAMPLES.parse(examples[2]["content"]) == ("have her ride a dragon", "a girl riding a dragon")
    assert EXAMPLES.prompt("a ball").endswith("\n\nCaption: a ball\n\n")


@pytest.mark.parametrize("name", options("templates"))
def test_templates_that_come_along_load(name: str) -> None:
    assert few_shot_template.load_template(name).examples


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ask: 'Caption: {captoin}'", "unknown field {captoin} (did you mean caption?)"),
        ("ask: '{caption} {0'", "brace"),
        ("ask: 'Caption:'", "no {caption}"),
        ("ask: '{caption!z}'", "a way that text does not support (Unknown conversion specifier"),
        ("ask: '{caption:d}'", "a way that text does not support (Unknown format code 'd'"),
        ("ask: '{caption:{width}}'", "a way that text does not support ('width')"),
        ("ask: '{caption}'\nsytem: x", "unknown field 'sytem' (did you mean system?)"),
        ("system: x", "lacks the field 'ask'"),
        (
            "ask: '{caption}'\nexamples: [{caption: a, instruction: b}]",
            "example 1 lacks the field 'edited_caption'",
        ),
        ("ask: '{caption}'\nexamples: [3]", "example 1 has no fields"),
        ("- 3", "it has no fields"),
        ("a: [", "is not YAML"),
        ("ask: 3", "texts"),
    ],
)
def test_templates_that_cannot_be(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(WriterError) as caught:
        few_shot_template.load_template(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_such_template() -> None:
    with pytest.raises(WriterError, match="one of instructpix2pix, miniworld"):
        few_shot_template.load_template("none.yaml")
