from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import miniworld
from miniworld.drawing.draw import draw
from miniworld.evaluate import SmallClip, draw_unseen_scenes, main, measure_picking
from miniworld.scene import random_layout
from miniworld.scene_captions import caption


class _Reader:
    """Stands for a CLIP that knows captions by heart, and for one that knows nothing."""

    def __init__(self, known: dict[bytes, str] | None) -> None:
        self.known = known

    def _feature(self, text: str) -> Tensor:
        return F.normalize(
            torch.randn(64, generator=torch.Generator().manual_seed(hash(text) % 2**31)), dim=-1
        )

    def texts(self, texts: list[str]) -> Tensor:
        return torch.stack([self._feature(text) for text in texts])

    def images(self, images: list[np.ndarray]) -> Tensor:
        names = [self.known[image.tobytes()] if self.known else str(image.sum()) for image in images]
        return self.texts(names)


def test_picking_is_right_with_knowledge_and_chance_without() -> None:
    rng = np.random.default_rng(0)
    scenes = draw_unseen_scenes(60, held_out=False)
    images = [draw(scene, random_layout(rng)) for scene in scenes]
    knows = _Reader({image.tobytes(): caption(scene) for scene, image in zip(scenes, images, strict=True)})
    found = measure_picking(knows, scenes, images)  # type: ignore[arg-type]
    assert found.of_16 == 1.0
    assert set(found.by_attribute.values()) == {1.0}
    assert measure_picking(_Reader(None), scenes, images).of_16 < 0.3  # type: ignore[arg-type]


def test_unseen_scenes_are_held_out_as_requested() -> None:
    assert all(scene.held_out for scene in draw_unseen_scenes(20, held_out=True))
    assert not any(scene.held_out for scene in draw_unseen_scenes(20, held_out=False))


def test_unit_features() -> None:
    clip = SmallClip(miniworld.CLIP)
    features = clip.images([np.zeros((64, 64, 3), np.uint8)] * 2)
    assert torch.allclose(features.norm(dim=-1), torch.ones(2), atol=1e-5)


def test_the_tables_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--images", "2", "--drawn", "8"])
    printed = capsys.readouterr().out
    assert "PSNR" in printed
    assert "same layout" in printed
    assert "held out" in printed
    assert "generated" in printed
