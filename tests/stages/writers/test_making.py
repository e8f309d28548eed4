from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from conf.pairs import Writer, WriterKind
from stages.writers.causal import TransformersWriter
from stages.writers.grammar import GrammarWriter
from stages.writers.making import fingerprint, make
from stages.writers.writer import WriterError

ENDPOINT = Writer(kind=WriterKind.openai, model="x", endpoint="http://a/v1")


def test_what_answers_depend_on_is_in_the_fingerprint_and_places_are_not(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("ask: '{caption}'")
    same = [
        replace(ENDPOINT, endpoint="http://b/v1"),
        replace(ENDPOINT, key_env=None),
        replace(ENDPOINT, retries=9),
    ]
    others = [
        replace(ENDPOINT, model="y"),
        replace(ENDPOINT, temperature=0.1),
        replace(ENDPOINT, template="miniworld"),
        replace(ENDPOINT, template=str(own)),
    ]
    assert {fingerprint(one) for one in same} == {fingerprint(ENDPOINT)}
    prints = [fingerprint(one) for one in [ENDPOINT, *others]]
    assert len(set(prints)) == len(prints)
    own.write_text("ask: 'Caption: {caption}'")
    assert fingerprint(others[-1]) != prints[-1]


def test_a_local_model_is_known_by_what_it_holds(
    untrained: Path, untrained_chat: Path, tmp_path: Path
) -> None:
    settings = Writer(kind=WriterKind.transformers, model=str(untrained))
    moved = tmp_path / "moved"
    moved.symlink_to(untrained)
    assert fingerprint(replace(settings, model=str(moved))) == fingerprint(settings)
    assert fingerprint(replace(settings, model=str(untrained_chat))) != fingerprint(settings)
    with pytest.raises(WriterError, match="no such folder"):
        fingerprint(replace(settings, model=str(tmp_path / "none")))


def test_each_kind_is_made(untrained: Path) -> None:
    assert isinstance(make(Writer(kind=WriterKind.grammar, model="")), GrammarWriter)
    assert isinstance(make(Writer(kind=WriterKind.transformers, model=str(untrained))), TransformersWriter)
