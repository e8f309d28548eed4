from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from stages.formats import previews
from stages.records import CaptionPair, Preview, WordMaps
from tests.stages.unit_parts import candidate

EXTENSIONS = st.sampled_from(("png", "webp"))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
PAIRS = st.builds(CaptionPair, input=TEXT, edit=TEXT, output=TEXT, line=st.integers(0, 99))
MAPS = st.builds(
    WordMaps, edit=st.integers(-1, 3), words=st.lists(TEXT, max_size=3).map(tuple), png=st.binary()
)


@st.composite
def make_previews(draw: st.DrawFn) -> Preview:
    pair, edits = draw(PAIRS), draw(st.lists(st.binary(max_size=600), max_size=4))
    candidates = tuple(
        replace(
            candidate(pair, number, draw(TEXT)),
            measures=draw(st.dictionaries(TEXT, st.floats(0, 1), max_size=2)),
        )
        for number in range(len(edits))
    )
    return Preview(pair, draw(st.binary()), tuple(edits), candidates, tuple(draw(st.lists(MAPS, max_size=2))))


@given(st.lists(make_previews(), max_size=3, unique_by=lambda preview: preview.pair.id), EXTENSIONS)
def test_previews_are_read_back_as_written(shown: list[Preview], extension: str):
    read = previews.from_bytes(previews.to_bytes(shown, extension))
    assert read == shown
    assert [preview.pair.line for preview in read] == [preview.pair.line for preview in shown]


@given(PAIRS, st.sets(st.integers(0, 999), min_size=1, max_size=4))
def test_samples_of_one_pair_are_kept_apart(pair: CaptionPair, samples: set[int]):
    shown = [Preview(pair, b"s", (b"e",), (candidate(pair, number, "r"),)) for number in sorted(samples)]
    assert previews.from_bytes(previews.to_bytes(shown, "webp")) == shown
