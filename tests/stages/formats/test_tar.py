from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.schema import ImageFormat, Shards
from stages.formats import tar
from stages.records import Sample
from tests.stages.unit_parts import picture, pixels

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
SAMPLE = Sample("0123456789abcdef-003", pixels(1), pixels(2), "make it blue", {"tau": 0.5, "b": "é"})


def test_files_of_a_sample_are_in_the_order_of_their_names():
    key, files = tar.encode_sample(SAMPLE, ImageFormat.jpeg)
    assert key == SAMPLE.key
    assert list(files) == ["edit_prompt.txt", "edited_image.jpg", "input_image.jpg", "json"]


def test_no_member_tells_when_or_by_whom_it_was_made():
    data = tar.write_samples([tar.encode_sample(SAMPLE, ImageFormat.png)])
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode, m.isreg()) for m in archive}
    assert members == {(0, 0, 0, "", "", 0o644, True)}


@settings(deadline=None)
@given(st.lists(st.lists(st.binary(max_size=2000), min_size=1, max_size=4), max_size=6))
def test_samples_are_read_back_as_written(contents: list[list[bytes]]):
    samples = [
        (f"key{k}", {f"part{m}.bin": data for m, data in enumerate(files)})
        for k, files in enumerate(contents)
    ]
    assert list(tar.read_samples(tar.write_samples(samples))) == samples


def test_webdataset_reads_a_sample(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(tar.write_samples([tar.encode_sample(SAMPLE, ImageFormat.png)]))
    (read,) = webdataset.WebDataset(str(path), shardshuffle=False)
    assert read["__key__"] == SAMPLE.key
    assert (read["input_image.png"], read["edit_prompt.txt"]) == (picture(1), b"make it blue")


def test_webdataset_writes_the_same_members():
    samples = [tar.encode_sample(SAMPLE, ImageFormat.png)]
    buffer = io.BytesIO()
    with webdataset.TarWriter(buffer, user="", group="", mode=0o644, mtime=0, encoder=False) as writer:
        for key, files in samples:
            writer.write({"__key__": key, **files})
    assert buffer.getvalue() == tar.write_samples(samples)


@given(st.lists(st.integers(1, 3), max_size=6), st.integers(1, 80), st.sampled_from(["", "d" * 60 + "/"]))
def test_samples_end_where_the_next_key_begins(counts: list[int], width: int, folder: str):
    content = bytes(1200)
    samples = [
        (f"{folder}{number:0{width}d}", {f"part{k}.txt": content[400 * k :] for k in range(count)})
        for number, count in enumerate(counts)
    ]
    data = tar.write_samples(samples)
    ends = tar.sample_ends(data)
    for sample, start, end in zip(samples, [0, *ends], ends, strict=False):
        assert list(tar.read_samples(data[start:end] + tar.closing_blocks(end - start))) == [sample]
    assert len(ends) == len(samples)


@pytest.mark.parametrize("data", [b"x" * 2048, b"x" * 40])
def test_bytes_that_are_no_tar_are_refused(data: bytes):
    with pytest.raises(tarfile.TarError):
        tar.sample_ends(data)


@pytest.mark.parametrize("format", [ImageFormat.png, ImageFormat.webp])
def test_lossless_is_lossless(format: ImageFormat):
    np.testing.assert_array_equal(tar.decode_image(tar.encode_image(IMAGE, format, 100)), IMAGE)


@pytest.mark.parametrize("format", [ImageFormat.jpeg, ImageFormat.webp])
def test_quality_trades_bytes_for_likeness(format: ImageFormat):
    low, high = tar.encode_image(IMAGE, format, 20), tar.encode_image(IMAGE, format, 95)
    assert len(low) < len(high)

    def error(data: bytes) -> float:
        return float(np.abs(tar.decode_image(data).astype(int) - IMAGE.astype(int)).mean())

    assert error(high) < error(low)


@pytest.mark.parametrize("format", list(ImageFormat))
def test_same_pixels_same_bytes(format: ImageFormat):
    assert tar.encode_image(IMAGE, format, 90) == tar.encode_image(IMAGE.copy(), format, 90)


@pytest.mark.parametrize("quality", [90, 100])
@pytest.mark.parametrize("format", list(ImageFormat))
def test_as_stored_is_what_comes_back(format: ImageFormat, quality: int):
    stored = tar.as_stored(IMAGE, Shards(samples=1, format=format, quality=quality))
    np.testing.assert_array_equal(stored, tar.decode_image(tar.encode_image(IMAGE, format, quality)))
