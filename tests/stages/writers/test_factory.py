from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from conf.pairs import Marks, Writer, WriterKind
from stages.writers.base import WriterError
from stages.writers.factory import RESULT_SETTINGS, identify, make, result_settings
from stages.writers.grammar_writer import GrammarWriter
from stages.writers.transformers_writer import TransformersWriter

ENDPOINT = Writer(kind=WriterKind.openai, model="x", endpoint="http://a/v1")


def test_every_setting_decides_or_is_free() -> None:
    free = {"kind", "revision", "device", "endpoint", "key_env", "concurrency", "timeout", "retries"}
    free |= {"requests_per_minute", "context", "gpu_memory"}
    told = {name for names in RESULT_SETTINGS.values() for name in names}
    assert told.isdisjoint(free)
    assert told | free == {entry.name for entry in fields(Writer)}
    assert set(RESULT_SETTINGS) == set(WriterKind)


def test_what_answers_depend_on_is_named_and_places_are_not(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("ask: '{caption}'")
    told = result_settings(ENDPOINT)
    assert "sk-" not in str(told)
    for one in (
        replace(ENDPOINT, endpoint="http://b/v1"),
        replace(ENDPOINT, key_env=None),
        replace(ENDPOINT, retries=9),
        replace(ENDPOINT, rows=3),
    ):
        assert result_settings(one) == told
    for name, other in (
        ("temperature", replace(ENDPOINT, temperature=0.1)),
        ("template", replace(ENDPOINT, template="miniworld")),
        ("template", replace(ENDPOINT, template=str(own))),
        ("format.stop", replace(ENDPOINT, format=Marks(stop="###"))),
        ("structured", replace(ENDPOINT, structured=True)),
        ("max_tokens", replace(ENDPOINT, max_tokens=3)),
        ("top_p", replace(ENDPOINT, top_p=0.5)),
    ):
        assert [key for key in told if result_settings(other)[key] != told[key]] == [name]
    with_own = result_settings(replace(ENDPOINT, template=str(own)))
    moved = tmp_path / "moved.yaml"
    moved.write_text(own.read_text())
    assert result_settings(replace(ENDPOINT, template=str(moved))) == with_own
    own.write_text("ask: 'Caption: {caption}'")
    assert result_settings(replace(ENDPOINT, template=str(own))) != with_own


def test_the_grammar_depends_on_nothing() -> None:
    grammar = Writer(kind=WriterKind.grammar, model="")
    assert result_settings(replace(grammar, temperature=3, template="none.yaml")) == {"kind": "grammar"}
    assert identify(grammar) == "grammar"


def test_a_local_model_is_known_by_what_it_holds(
    untrained: Path, untrained_chat: Path, tmp_path: Path
) -> None:
    settings = Writer(kind=WriterKind.transformers, model=str(untrained))
    moved = tmp_path / "moved"
    moved.symlink_to(untrained)
    assert identify(replace(settings, model=str(moved))) == identify(settings)
    assert identify(replace(settings, model=str(untrained_chat))) != identify(settings)
    assert identify(ENDPOINT) == "x"
    with pytest.raises(WriterError, match="no such folder"):
        identify(replace(settings, model=str(tmp_path / "none")))


def test_each_kind_is_made(untrained: Path) -> None:
    assert isinstance(make(Writer(kind=WriterKind.grammar, model="")), GrammarWriter)
    assert isinstance(make(Writer(kind=WriterKind.transformers, model=str(untrained))), TransformersWriter)
