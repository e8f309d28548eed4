from __future__ import annotations

from benchmarks.truth.background_preservation import changed_words, kept_words
from benchmarks.truth.shipped_edits import shipped_edits


def test_shipped_edits_have_words_that_change_or_stay():
    edits = shipped_edits(3)
    assert len(edits) == 8 * 3
    for edit in edits:
        changed, kept = changed_words(edit), kept_words(edit)
        assert (not changed and not kept) == (edit.kind in ("add", "style"))
        after = [thing.kind for thing in edit.after.things]
        if edit.kind in ("object", "replace", "remove"):
            assert len(changed) == 1
            assert changed[0] not in after
        if edit.kind == "colour":
            assert len(changed) == 1
            assert changed[0] in after
        if edit.kind in ("ground", "sky"):
            assert list(kept) == after
