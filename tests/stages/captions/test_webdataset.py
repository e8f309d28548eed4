from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.captions import CaptionsError, CaptionSource, open_captions
from stages.images.place import read_image
from stages.records import CaptionPair, Quarantined

NOISE = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.uint8)


def picture(number: int, format: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(NOISE[number]).save(stream, format)
    return stream.getvalue()


def text(number: int) -> bytes:
    return json.dumps({"input": f"a {number}", "edit": "b", "output": f"c {number}", "n": number}).encode()


def write(path: Path, members: list[tuple[str, bytes]], mode: str = "w") -> Path:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def read(path: Path, kind: str = "webdataset") -> list[CaptionPair | Quarantined]:
    return list(open_captions(CaptionSource(kind, str(path), images=str(path))))


def test_samples_of_all_tars_are_read_with_their_pictures(tmp_path: Path) -> None:
    write(tmp_path / "b.tar", [("d/2.jpg", picture(2, "JPEG")), ("d/2.json", text(2)), ("d/3.json", text(3))])
    write(
        tmp_path / "a.tar",
        [("0.json", text(0)), ("0.png", picture(0)), ("1.input.png", picture(1)), ("1.json", text(1))],
    )
    pairs = read(tmp_path)
    assert [pair.input for pair in pairs] == ["a 0", "a 1", "a 2", "a 3"]
    assert [pair.line for pair in pairs] == [1, 2, 1, 2]
    bytes_of = [read_image(str(tmp_path), pair.image_place) for pair in pairs[:3]]
    assert bytes_of == [picture(0), picture(1), picture(2, "JPEG")]
    assert pairs[3].image == ""
    assert json.loads(pairs[0].meta) == {"n": 0}
    assert read(tmp_path, "auto") == pairs
    assert open_pairs(tmp_path / "a.tar") == [pair.id for pair in pairs[:2]]


def open_pairs(path: Path) -> list[str]:
    return [pair.id for pair in open_captions(CaptionSource("auto", str(path)))]


def test_a_bad_sample_is_quarantined_alone(tmp_path: Path) -> None:
    members = [
        ("0.png", picture(0)),
        ("1.json", b"{"),
        ("1.png", picture(1)),
        ("2.json", text(2)),
        ("2.png", picture(2)),
        ("2.jpg", picture(2)),
        ("3.json", text(3)),
        ("3.png", b"no picture"),
        ("4.json", text(0)),
        ("4.png", picture(0)),
    ]
    *bad, good = read(write(tmp_path / "a.tar", members))
    assert [item.reason.partition(":")[0] for item in bad] == [
        "sample 0 has 0 JSON files, not one",
        "1.json",
        "sample 2 has several pictures",
        "field 'image'",
    ]
    assert isinstance(good, CaptionPair)
    assert good.line == 5


@pytest.mark.parametrize("cut", [0, 700])
def test_a_tar_that_is_cut_off_keeps_what_is_before(tmp_path: Path, cut: int) -> None:
    members = [
        (f"{n}.{kind}", data) for n in range(3) for kind, data in (("json", text(n)), ("png", picture(n)))
    ]
    file = write(tmp_path / "a.tar", members)
    with tarfile.open(file) as archive:
        end = archive.getmember("2.json").offset
    file.write_bytes(file.read_bytes()[: end + cut])
    items = read(file)
    assert [type(item) for item in items] == [CaptionPair, CaptionPair, Quarantined]
    assert "cannot be read from here on" in items[-1].reason


def test_a_file_that_is_no_plain_tar_is_an_error(tmp_path: Path) -> None:
    squeezed = write(tmp_path / "a.tar", [("0.json", text(0))], "w:gz")
    with pytest.raises(CaptionsError, match="is compressed: decompress it"):
        read(squeezed)
    squeezed.write_bytes(b"no tar" * 200)
    with pytest.raises(CaptionsError, match="is no tar"):
        read(squeezed)
    with pytest.raises(CaptionsError, match="no tar there"):
        read(tmp_path / "none")
