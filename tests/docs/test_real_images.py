from __future__ import annotations

import re
from typing import Any

import numpy as np

import miniworld
import p2p
from miniworld.drawing.draw import draw
from miniworld.scene import random_layout
from miniworld.scene_captions import parse_caption
from p2p.sweep.request import INVERSIONS
from tests.docs.snippets import ROOT, snippet


def test_the_example_edits_a_drawn_photograph():
    scene = parse_caption("a photo of a red ball on grass by day")
    photo = draw(scene, random_layout(np.random.default_rng(2)))
    names: dict[str, Any] = {"p2p": p2p, "miniworld": miniworld, "photo": photo}
    exec(compile(snippet("real-images.md", "image"), "image", "exec"), names)
    sweep = names["sweep"]
    assert sweep.original is photo
    assert np.square(sweep.source.astype(float) - photo).mean() < 60, "over 30 dB"
    red, blue = (image[..., 0].astype(int) - image[..., 2] for image in (sweep.source, sweep.edits[-1]))
    assert (red > 100).sum() > 50 > (blue > 100).sum(), "the red ball is gone"
    assert len(sweep.picture().getdata()) == 5 * photo.shape[0] * photo.shape[1]


def test_every_inversion_is_named():
    text = (ROOT / "docs" / "real-images.md").read_text()
    table = text.partition("| `inversion` |")[2].partition("\n\n")[0]
    assert set(re.findall(r'^\| `"(\w+)"`', table, re.M)) == set(INVERSIONS) - {"rf_inversion"}
    assert '`inversion="rf_inversion"`' in text
