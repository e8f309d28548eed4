from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.schema import Captions
from stages.errors import MachineError
from stages.images.decode import ImageError
from stages.images.place import image_root, keep_image, read_checked, read_image, relative_place

ROWS = [f"picture {n}".encode() for n in range(10)]


def test_a_file_is_found_below_the_root_and_anywhere(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("a/1.png", "a/2#0+3", "3#4/x"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
        assert read_image(str(tmp_path), name) == name.encode()
        assert read_image("/elsewhere", str(path)) == name.encode()


def test_a_part_of_a_file_is_read_by_its_offset(tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    (tmp_path / "x.png").write_bytes(b"the picture")
    with tarfile.open(file, "w") as archive:
        archive.add(tmp_path / "x.png", "k.png")
        member = archive.getmember("k.png")
    with tarfile.open(file) as archive:
        member = archive.getmember("k.png")
    assert read_image(str(tmp_path), f"a.tar#{member.offset_data}+{member.size}") == b"the picture"
    with pytest.raises(ImageError, match="the file ends before the image does"):
        read_image(str(tmp_path), "a.tar#5+99999999")


@pytest.mark.parametrize("column", [ROWS, [{"bytes": row, "path": None} for row in ROWS]])
def test_a_cell_of_parquet_is_read_by_its_row(tmp_path: Path, column: list) -> None:
    table = pa.table({"image": column, "input": [str(n) for n in range(10)]})
    pq.write_table(table, tmp_path / "p.parquet", row_group_size=4)
    read = [read_image(str(tmp_path), f"p.parquet#{n}/image") for n in range(10)]
    assert read == ROWS
    for place in ("p.parquet#10/image", "p.parquet#0/none"):
        with pytest.raises(ImageError, match="there is no "):
            read_image(str(tmp_path), place)


def test_a_bucket_is_a_root_too() -> None:
    with fsspec.open("memory://photos/a/1.png", "wb") as stream:
        stream.write(b"picture")
    assert read_image("memory://photos", "a/1.png") == b"picture"
    assert read_image("memory://photos", "a/1.png#3+4") == b"ture"
    assert read_image("memory://photos", keep_image("memory://photos", b"kept")) == b"kept"


def test_an_absent_folder_is_the_fault_of_the_machine(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file"):
        read_image(str(tmp_path), "none.png")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ImageError, match="not a file"):
        read_image(str(tmp_path), "folder")
    with pytest.raises(
        MachineError, match=r"is not a folder of this machine: .* all machines share, or in a bucket"
    ):
        read_image(str(tmp_path / "absent"), "none.png")


def test_bytes_that_changed_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"before")
    digest = hashlib.sha256(b"before").hexdigest()
    assert read_checked(str(tmp_path), "a.png", digest) == b"before"
    file.write_bytes(b"after")
    with pytest.raises(
        ImageError, match=r"changed since the run was planned: restore the file, or give .* out="
    ):
        read_checked(str(tmp_path), "a.png", digest)


def test_the_root_is_set_or_the_folder_of_the_captions(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    assert image_root(Captions("jsonl", str(file)), "out") == str(tmp_path)
    assert image_root(Captions("parquet", str(tmp_path)), "out") == str(tmp_path)
    assert image_root(Captions("parquet", f"{tmp_path}/[ab]*.parquet"), "out") == str(tmp_path)
    assert image_root(Captions("parquet", f"{tmp_path}/*/part-*"), "out") == str(tmp_path)
    assert image_root(Captions("dataset", "owner/name"), "s3://b/out/") == "s3://b/out/run/images"
    assert image_root(Captions("jsonl", str(file), images="s3://photos"), "out") == "s3://photos"


def test_a_place_is_relative_where_it_can_be(tmp_path: Path) -> None:
    assert relative_place(tmp_path / "a" / "b.tar", str(tmp_path)) == "a/b.tar"
    assert relative_place(tmp_path / "b.tar", str(tmp_path / "a")) == str(tmp_path / "b.tar")
    assert relative_place(tmp_path / "b.tar", "") == str(tmp_path / "b.tar")
    assert relative_place(tmp_path / "b.tar", "s3://a") == str(tmp_path / "b.tar")
