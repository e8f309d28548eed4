from __future__ import annotations

from pathlib import Path

import pytest

from stages.captions import CaptionsError, CaptionSource, open_captions
from stages.records import CaptionPair, Quarantined

CAPTIONS = ["a photo of a red ball on grass by day", "a mosaic of a white boat on snow at night"]


def test_text_is_a_caption_a_line(tmp_path: Path) -> None:
    path = tmp_path / "captions.txt"
    path.write_bytes(f"{CAPTIONS[0]}\n\n  {CAPTIONS[1]} \r\n\xff\n".encode("latin-1"))
    *good, bad = open_captions(CaptionSource("auto", str(path), captions_only=True))
    assert good == [CaptionPair(text, "", "") for text in CAPTIONS]
    assert isinstance(bad, Quarantined)
    assert (bad.line, bad.reason) == (4, "not UTF-8: byte 1 of the line is 0xFF")
    with pytest.raises(CaptionsError, match="pairforge pairs"):
        open_captions(CaptionSource("auto", str(path)))
