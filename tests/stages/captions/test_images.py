from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.captions import CaptionSource, open_captions
from stages.captions import images as images_module
from stages.records import CaptionPair, Quarantined

TEXTS = {"input": "a red ball", "edit": "make it blue", "output": "a blue ball"}


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    (tmp_path / "photos").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (5, 40, 40, 3)).astype(np.uint8)
    paths = [tmp_path / "photos" / f"{n}.png" for n in range(5)]
    for path, pixels in zip(paths, noise, strict=True):
        Image.fromarray(pixels).save(path)
    return paths


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read(folder: Path, records: list[dict], **options) -> list[CaptionPair | Quarantined]:
    file = folder / "pairs.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return list(open_captions(CaptionSource("jsonl", str(file), images=str(folder), **options)))


def test_a_pair_refers_to_its_image_by_digest_and_place(tmp_path: Path, photos: list[Path]) -> None:
    records = [{**TEXTS, "image": f"photos/{n}.png"} for n in range(5)]
    pairs = read(
        tmp_path, [TEXTS, *records[:4], TEXTS | {"input": "b"}, records[4] | {"image": str(photos[4])}]
    )
    plain, *pictured, other, absolute = pairs
    assert (plain.image, plain.image_sha256, plain.image_place, other.image) == ("", "", "", "")
    assert [pair.image for pair in pictured] == [f"{sha256(photos[n])} photos/{n}.png" for n in range(4)]
    assert absolute.image == f"{sha256(photos[4])} {photos[4]}"
    assert json.loads(pictured[0].meta) == {"image": "photos/0.png"}
    assert len({pair.id for pair in pairs}) == 7
    assert [pair.line for pair in pairs] == list(range(1, 8))


def test_the_id_depends_on_the_bytes_and_not_on_the_place(tmp_path: Path, photos: list[Path]) -> None:
    (first,) = read(tmp_path, [{**TEXTS, "image": "photos/0.png"}])
    (moved,) = read(tmp_path, [{**TEXTS, "image": str(photos[0])}])
    photos[0].write_bytes(photos[1].read_bytes())
    (changed,) = read(tmp_path, [{**TEXTS, "image": "photos/0.png"}])
    assert first.id == moved.id
    assert first.id != changed.id


@pytest.mark.parametrize("image", [None, "", "  "])
def test_an_empty_field_is_no_image(tmp_path: Path, image: str | None) -> None:
    (pair,) = read(tmp_path, [{**TEXTS, "image": image}])
    assert pair.image == ""
    assert pair.id == CaptionPair(**TEXTS).id


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ("https://host/a.png", "is a URL, and images are not downloaded: give a path"),
        ("s3://bucket/a.png", "is a URL, and images are not downloaded: give a path"),
        ("photos/none.png", r"\(photos/none.png\): no such file"),
        ("photos", r"\(photos\): not a file"),
        ("pairs.jsonl", r"\(pairs.jsonl\): not an image that can be read"),
        (3, "is a number: give the path of an image, or its bytes"),
        ("a\nb", "holds characters that no path has"),
    ],
)
def test_an_image_that_cannot_be_is_quarantined(
    tmp_path: Path, photos: list[Path], image: object, reason: str
) -> None:
    good = {**TEXTS, "image": "photos/0.png"}
    bad, pair = read(tmp_path, [{**TEXTS, "image": image}, good])
    assert isinstance(bad, Quarantined)
    assert bad.line == 1
    assert "\n" not in bad.reason
    assert bad.reason.startswith("field 'image'")
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(bad.reason)
    assert isinstance(pair, CaptionPair)


def test_an_image_too_small_for_the_model_is_quarantined(tmp_path: Path, photos: list[Path]) -> None:
    record = {**TEXTS, "image": "photos/0.png"}
    (bad,) = read(tmp_path, [record], image_side=81)
    assert "the image has 40 × 40 pixels, too few for the model's 81" in bad.reason
    assert isinstance(read(tmp_path, [record], image_side=80)[0], CaptionPair)


def test_the_field_can_have_another_name_or_be_left_alone(tmp_path: Path, photos: list[Path]) -> None:
    record = {**TEXTS, "image": "http://host", "photo": "photos/0.png"}
    (named,) = read(tmp_path, [record], fields={"image": "photo"})
    assert named.image_place == "photos/0.png"
    (alone,) = read(tmp_path, [record], fields={"image": ""})
    assert alone.image == ""
    assert json.loads(alone.meta) == {"image": "http://host", "photo": "photos/0.png"}


def test_csv_has_images_too(tmp_path: Path, photos: list[Path]) -> None:
    file = tmp_path / "pairs.csv"
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [*TEXTS, "image"])
        writer.writeheader()
        writer.writerows([{**TEXTS, "image": "photos/1.png"}, {**TEXTS, "image": ""}])
    pictured, plain = open_captions(CaptionSource("csv", str(file), images=str(tmp_path)))
    assert pictured.image == f"{sha256(photos[1])} photos/1.png"
    assert plain.image == ""


def test_few_images_are_read_ahead(tmp_path: Path, photos: list[Path], monkeypatch) -> None:
    opened = list[str]()
    real = images_module.read_image

    def read_image(root: str, place: str) -> bytes:
        opened.append(place)
        return real(root, place)

    monkeypatch.setattr(images_module, "read_image", read_image)
    file = tmp_path / "pairs.jsonl"
    record = json.dumps({**TEXTS, "image": "photos/0.png"}) + "\n"
    file.write_text(record * 500)
    pairs = open_captions(CaptionSource("jsonl", str(file), images=str(tmp_path), limit=3))
    assert len(list(pairs)) == 3
    assert len(opened) <= 3 + images_module.AHEAD
