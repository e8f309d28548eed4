from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from filters.clip.preprocess import preprocess

STD = (0.25, 0.26, 0.27)


def transform(size: int | tuple[int, int], mode: str, interpolation: str = "bicubic"):
    config = PreprocessCfg(
        size=size,
        mean=(0.5, 0.45, 0.4),
        std=STD,
        interpolation=interpolation,
        resize_mode=mode,
        fill_color=90,
    )
    return image_transform_v2(config, is_train=False)


def images(sizes: list[tuple[int, int]], seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def by_open_clip(step, pixels: list[np.ndarray]) -> torch.Tensor:
    return torch.stack([step(Image.fromarray(image)) for image in pixels])


@pytest.mark.parametrize("size", [32, (32, 48)])
@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_images_of_the_models_size_equal_open_clip_s_bits(size, mode: str) -> None:
    step = transform(size, mode)
    pixels = images([(32, 32) if size == 32 else size] * 3, seed=1)
    assert torch.equal(preprocess(step, pixels, torch.device("cpu")), by_open_clip(step, pixels))


def levels_apart(step, pixels: list[np.ndarray]) -> torch.Tensor:
    """The difference to open_clip's own, in 8-bit levels."""
    ours, theirs = preprocess(step, pixels, torch.device("cpu")), by_open_clip(step, pixels)
    assert ours.shape == theirs.shape
    return (ours - theirs).abs() * torch.tensor(STD)[:, None, None] * 255


@settings(max_examples=25, deadline=None)
@given(side=st.integers(9, 200), seed=st.integers(0, 999))
def test_square_images_differ_by_one_level_or_two_if_they_grow(side: int, seed: int) -> None:
    apart = levels_apart(transform(32, "shortest"), images([(side, side)], seed))
    assert apart.max() < (2.01 if side < 32 else 1.01)
    assert apart.mean() < 0.05


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(9, 90), st.integers(9, 90)), min_size=1, max_size=3),
    size=st.sampled_from([32, (32, 48)]),
    mode=st.sampled_from(["shortest", "longest", "squash"]),
    seed=st.integers(0, 999),
)
def test_images_of_any_shape_are_near_open_clips(sizes, size, mode, seed) -> None:
    pixels = images(sizes, seed)
    # A shape that is not square is always resized bicubically by open_clip in this mode.
    if not (mode == "shortest" and size != 32):
        assert levels_apart(transform(size, mode, "bilinear"), pixels).max() < 2.01
    assert levels_apart(transform(size, mode, "bicubic"), pixels).mean(dim=(1, 2, 3)).max() < 0.7


def test_images_of_several_sizes_keep_their_order() -> None:
    step = transform(32, "shortest")
    pixels = images([(32, 32), (64, 40), (32, 32), (64, 40)], seed=3)
    apart = [preprocess(step, [image], torch.device("cpu")) for image in pixels]
    assert torch.equal(preprocess(step, pixels, torch.device("cpu")), torch.cat(apart))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_a_gpu_sees_what_the_cpu_sees(mode: str) -> None:
    step, pixels = transform(32, mode), images([(32, 32), (64, 40), (20, 20)], seed=7)
    here, there = (preprocess(step, pixels, torch.device(name)) for name in ("cpu", "cuda"))
    assert there.device.type == "cuda"
    # Resized in 8 bits on the CPU: what is left is one division and one normalisation in fp32.
    torch.testing.assert_close(there.cpu(), here, atol=1e-6, rtol=0)
