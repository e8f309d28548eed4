from __future__ import annotations

import io
import tarfile

import pytest
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.schema import ImageFormat
from stages.formats import tar
from stages.records import Sample
from tests.stages.unit_results import picture, pixels

SAMPLE = Sample("0123456789abcdef-003", pixels(1), pixels(2), "make it blue", {"tau": 0.5, "b": "é"})


def test_members_are_in_the_order_of_their_names_and_share_a_key():
    names = [name for name, _ in tar.members(SAMPLE, ImageFormat.jpeg)]
    assert names == sorted(names)
    assert {name.split(".", 1)[0] for name in names} == {SAMPLE.key}
    assert {name.split(".", 1)[1] for name in names} == {
        "edit_prompt.txt",
        "edited_image.jpg",
        "input_image.jpg",
        "json",
    }


def test_nothing_in_a_tar_tells_when_or_by_whom_it_was_made():
    data = tar.pack_members(tar.members(SAMPLE, ImageFormat.png))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        about = {(i.mtime, i.uid, i.gid, i.uname, i.gname, i.mode, i.isreg()) for i in archive}
    assert about == {(0, 0, 0, "", "", 0o644, True)}


@settings(deadline=None)
@given(st.lists(st.lists(st.binary(max_size=2000), min_size=1, max_size=4), max_size=6))
def test_samples_come_back_as_they_were_packed(contents: list[list[bytes]]):
    samples = [
        (f"key{k}", [(f"key{k}.part{m}.bin", data) for m, data in enumerate(files)])
        for k, files in enumerate(contents)
    ]
    data = tar.pack_members(member for _, files in samples for member in files)
    assert list(tar.read_samples(data)) == samples


def test_webdataset_reads_it(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(tar.pack_members(tar.members(SAMPLE, ImageFormat.png)))
    (read,) = webdataset.WebDataset(str(path), shardshuffle=False)
    assert read["__key__"] == SAMPLE.key
    assert (read["input_image.png"], read["edit_prompt.txt"]) == (picture(1), b"make it blue")


@given(st.lists(st.integers(1, 3), max_size=6), st.integers(1, 80), st.sampled_from(["", "d" * 60 + "/"]))
def test_samples_end_where_the_next_key_begins(counts: list[int], width: int, folder: str):
    content = bytes(1200)
    samples = [
        [(f"{folder}{number:0{width}d}.part{k}.txt", content[400 * k :]) for k in range(count)]
        for number, count in enumerate(counts)
    ]
    data = tar.pack_members(member for sample in samples for member in sample)
    ends = tar.sample_ends(data)
    for sample, start, end in zip(samples, [0, *ends], ends, strict=False):
        assert list(tar.read_members(data[start:end] + tar.end(end - start))) == sample
    assert len(ends) == len(samples)


@pytest.mark.parametrize("data", [b"x" * 2048, b"x" * 40])
def test_what_is_no_tar_is_told(data: bytes):
    with pytest.raises(tarfile.TarError, match="no header of a member at byte 0"):
        tar.sample_ends(data)
