from __future__ import annotations

from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

import filters
from filters import FilterError
from tests.clips import build_clip

CAPTIONS = [
    "a red ball on grass",
    "a blue ball on grass",
    "an umbrella",
    "a hexagon on snow at night",
    "a cat",
]


@pytest.fixture(scope="module")
def clip(clip_folder: Path) -> filters.Clip:
    return filters.load_clip(f"local-dir:{clip_folder}", device="cpu")


def pictures(count: int, size: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def by_open_clip(folder: Path, inputs, outputs, input_captions, output_captions) -> dict[str, np.ndarray]:
    """The scores one pair at a time, by open_clip's own model, transform and tokenizer, in float64."""
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    model.eval()
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")

    def image(pixels: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            feature = model.encode_image(transform(Image.fromarray(pixels))[None])[0].double().numpy()
        return feature / np.linalg.norm(feature)

    def text(caption: str) -> np.ndarray:
        with torch.no_grad():
            feature = model.encode_text(tokenizer([caption]))[0].double().numpy()
        return feature / np.linalg.norm(feature)

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    rows = []
    for *images, t0, t1 in zip(inputs, outputs, input_captions, output_captions, strict=True):
        i0, i1, t0, t1 = image(images[0]), image(images[1]), text(t0), text(t1)
        rows.append((cosine(i0, t0), cosine(i1, t1), cosine(i1 - i0, t1 - t0), cosine(i0, i1)))
    names = ("clip_sim_0", "clip_sim_1", "clip_sim_dir", "clip_sim_image")
    return dict(zip(names, np.array(rows).T, strict=True))


@pytest.mark.parametrize("count", [1, 5, 23])
def test_scores_are_those_of_open_clips_own_api(clip: filters.Clip, clip_folder: Path, count: int) -> None:
    inputs, outputs = pictures(count, seed=1), pictures(count, seed=2)
    captions = [CAPTIONS[row % 5] for row in range(count)], [CAPTIONS[(row + 1) % 5] for row in range(count)]
    scores = clip.score(inputs, outputs, *captions)
    expected = by_open_clip(clip_folder, inputs, outputs, *captions)
    for name, values in expected.items():
        assert getattr(scores, name).dtype == np.float32
        np.testing.assert_allclose(getattr(scores, name), values, atol=1e-5, rtol=0, err_msg=name)
    spread = [np.ptp(values) for values in expected.values()]
    assert count == 1 or min(spread) > 0.01


def test_arrays_lists_and_pil_images_score_alike(clip: filters.Clip) -> None:
    inputs, outputs = pictures(4, seed=3), pictures(4, seed=4)
    whole = clip.score(inputs, outputs, CAPTIONS[:4], CAPTIONS[1:])
    listed = clip.score(list(inputs), [Image.fromarray(o) for o in outputs], CAPTIONS[:4], CAPTIONS[1:])
    for name in ("clip_sim_0", "clip_sim_1", "clip_sim_dir", "clip_sim_image"):
        assert (getattr(whole, name) == getattr(listed, name)).all()


def test_a_score_does_not_depend_on_what_else_is_scored(clip_folder: Path) -> None:
    inputs, outputs = pictures(21, seed=5), pictures(21, seed=6)
    captions = [f"{CAPTIONS[row % 5]} {row}" for row in range(22)]
    together = filters.load_clip(f"local-dir:{clip_folder}", device="cpu")
    scores = together.score(inputs, outputs, captions[:21], captions[1:])
    alone = filters.load_clip(f"local-dir:{clip_folder}", device="cpu")
    for row in reversed(range(21)):
        one = alone.score(inputs[row : row + 1], outputs[row : row + 1], [captions[row]], [captions[row + 1]])
        for name in ("clip_sim_0", "clip_sim_1", "clip_sim_dir", "clip_sim_image"):
            assert getattr(one, name)[0] == getattr(scores, name)[row]


class Counted:
    """Counts the rows that an encoder is given."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.rows = 0
        model.register_forward_pre_hook(self._count)

    def _count(self, _module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        self.rows += len(args[0])


def test_equal_images_and_known_captions_are_encoded_once(clip_folder: Path) -> None:
    clip = filters.load_clip(f"local-dir:{clip_folder}", device="cpu", batch_size=1)
    images, texts = Counted(clip.model.visual), Counted(clip.model.transformer)
    source, edits = pictures(1)[0], pictures(6, seed=7)
    clip.score([source] * 3 + [source.copy()] * 3, edits, [CAPTIONS[0]] * 6, [CAPTIONS[1]] * 6)
    assert (images.rows, texts.rows) == (7, 2)
    clip.score([source], edits[:1], [CAPTIONS[0]], [CAPTIONS[2]])
    assert (images.rows, texts.rows) == (9, 3)


def test_the_caption_cache_drops_the_oldest(clip_folder: Path, monkeypatch) -> None:
    monkeypatch.setattr("filters.clip.clip_scorer.CACHED_CAPTIONS", 3)
    clip = filters.load_clip(f"local-dir:{clip_folder}", device="cpu", batch_size=1)
    texts = Counted(clip.model.transformer)
    first = clip.encode_captions(CAPTIONS)
    assert texts.rows == 5
    assert torch.equal(clip.encode_captions(CAPTIONS[2:]), first[2:])
    assert texts.rows == 5
    clip.encode_captions(CAPTIONS[2:3])
    clip.encode_captions(CAPTIONS[:1])
    assert texts.rows == 6
    clip.encode_captions(CAPTIONS[2:3])
    assert texts.rows == 6
    clip.encode_captions(CAPTIONS[3:4])
    assert texts.rows == 7


def test_equal_images_or_equal_captions_have_no_direction(clip: filters.Clip) -> None:
    source, other = pictures(2, seed=8)
    assert clip.score([source], [source.copy()], ["a cat"], ["a dog"]).clip_sim_dir[0] == 0
    assert clip.score([source], [other], ["a cat"], ["a cat"]).clip_sim_dir[0] == 0


def test_no_images_give_no_scores(clip: filters.Clip) -> None:
    assert clip.score([], [], [], []).clip_sim_dir.shape == (0,)


def test_each_model_has_its_own_size_and_resize_mode(tmp_path: Path) -> None:
    folder = build_clip(tmp_path, image_size=48, resize_mode="longest", seed=3)
    clip = filters.load_clip(f"local-dir:{folder}", device="cpu")
    inputs, outputs = pictures(2, size=48, seed=9), pictures(2, size=48, seed=10)
    scores = clip.score(inputs, outputs, CAPTIONS[:2], CAPTIONS[2:4])
    for name, values in by_open_clip(folder, inputs, outputs, CAPTIONS[:2], CAPTIONS[2:4]).items():
        np.testing.assert_allclose(getattr(scores, name), values, atol=1e-5, rtol=0, err_msg=name)


def test_images_that_cannot_be_scored_are_an_error(clip: filters.Clip) -> None:
    with pytest.raises(FilterError, match="2 inputs, 1 outputs, 2 and 2 captions"):
        clip.score(pictures(2), pictures(1), ["a", "b"], ["c", "d"])
    with pytest.raises(FilterError, match="image 1 is float64"):
        clip.score(pictures(1), pictures(1).astype(float), ["a"], ["b"])
