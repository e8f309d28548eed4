from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.storage.checksum import DamageError, seal, unseal

RECORDS = st.dictionaries(
    st.text(max_size=5).filter(lambda name: name != "sha256"),
    st.none() | st.integers() | st.floats(allow_nan=False) | st.text() | st.lists(st.text(), max_size=3),
    max_size=4,
)


@given(RECORDS)
def test_what_is_sealed_is_read(record: dict):
    assert unseal(seal(record), "x") == record


@given(RECORDS, st.data())
def test_what_is_cut_off_is_told(record: dict, data: st.DataObject):
    text = seal(record)
    with pytest.raises(DamageError, match="here"):
        unseal(text[: data.draw(st.integers(0, len(text) - 1))], "here")


def test_what_is_edited_by_hand_is_told():
    edited = {**json.loads(seal({"samples": 3})), "samples": 4}
    for text in (json.dumps(edited), json.dumps({"samples": 3}), "[]", "3", b"\xff"):
        with pytest.raises(DamageError, match="commits/1"):
            unseal(text, "commits/1")
