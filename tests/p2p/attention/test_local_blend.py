"""LocalBlend: what the mask covers, and what is held to the source."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import p2p
from p2p.attention.local_blend import Blend, BlendPlan, blend_mask

SOURCE, TARGET = "a red ball on grass", "a blue hexagon on grass"


def plan(size: tuple[int, int], threshold: float) -> BlendPlan:
    return BlendPlan(size, threshold, start=0)


def columns(*maps: torch.Tensor) -> torch.Tensor:
    return torch.stack([one.flatten() for one in maps], -1)


def spot(y: int, x: int, height: int = 8, width: int = 12) -> torch.Tensor:
    one = torch.full((height, width), 0.1)
    one[y, x] = 1.0
    return one


def test_the_mask_is_the_union_less_what_is_subtracted() -> None:
    none = torch.zeros(8, 12)
    seen = columns(spot(1, 1), none), columns(spot(5, 9), spot(5, 10))
    expected = torch.zeros(8, 12, dtype=torch.bool)
    expected[0:3, 0:3] = expected[4:7, 8:11] = True
    expected[5, 10] = False
    assert torch.equal(blend_mask(*seen, plan((8, 12), 0.5), (8, 12)), expected)


def test_the_mask_has_the_latents_size() -> None:
    seen = columns(spot(1, 1), torch.zeros(8, 12)), columns(spot(1, 1), torch.zeros(8, 12))
    alpha = blend_mask(*seen, plan((8, 12), 0.5), (32, 48))
    assert alpha.shape == (32, 48)
    assert alpha[:10, :10].all()
    assert alpha.sum() <= 14 * 14, "three pixels of four by four, and the slope to the next"


@given(
    seed=st.integers(0, 100),
    threshold=st.floats(0, 0.99),
    scales=st.tuples(*[st.floats(1e-3, 1e3)] * 2),
)
def test_every_map_is_taken_in_relation_to_its_greatest_value(
    seed: int, threshold: float, scales: tuple[float, float]
) -> None:
    """So neither the number of steps and layers nor how much attention a word gets matters."""
    draw = torch.Generator().manual_seed(seed)
    source, target = torch.rand((2, 96, 2), generator=draw).double()
    of = plan((8, 12), threshold)
    whole = blend_mask(source, target, of, (8, 12))
    tolerant = (
        blend_mask(source, target, plan((8, 12), threshold + 1e-5), (8, 12)),
        blend_mask(source, target, plan((8, 12), max(0.0, threshold - 1e-5)), (8, 12)),
    )
    scaled = blend_mask(scales[0] * source, scales[1] * target, of, (8, 12))
    assert torch.equal(scaled, whole) or not torch.equal(*tolerant), "but for values at the threshold"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            ("hexagon", "hexagon"),
            "blend: 'hexagon' is not in 'a red ball on grass'; its words are a, red, ball",
        ),
        (
            ("ball", ("hexagon", "ball")),
            "blend: 'ball' is not in 'a blue hexagon on grass'; its words are a, blue",
        ),
        (
            Blend("ball", "hexagon", subtract="sky"),
            "blend: subtract: 'sky' is not in 'a red ball on grass'",
        ),
    ],
)
def test_words_that_are_not_there(sd1_editor: p2p.Editor, wrong: Any, message: str) -> None:
    with pytest.raises(p2p.P2PError, match=message):
        sd1_editor.sweep(SOURCE, TARGET, blend=wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("ball", r"blend = 'ball'; give words of the source and of the target: \('ball', 'box'\)"),
        (("ball",), "give words of the source and of the target"),
        (((), "ball"), "blend names no word of the source"),
    ],
)
def test_blends_that_say_too_little(wrong: Any, message: str) -> None:
    with pytest.raises(p2p.P2PError, match=message):
        p2p.SweepRequest(SOURCE, TARGET, blend=wrong)


@pytest.mark.parametrize("name", ["threshold", "start"])
def test_fractions_out_of_range(name: str) -> None:
    with pytest.raises(p2p.P2PError, match=rf"blend: {name} = 1.5 is not in \[0, 1\]"):
        Blend("ball", "ball", **{name: 1.5})


def test_outside_is_the_source_to_the_end(sd1_editor: p2p.Editor) -> None:
    blend = Blend("ball", "hexagon", threshold=0.9)
    sweep = sd1_editor.sweep(SOURCE, TARGET, taus=(0.0, 1.0), steps=5, guidance_scale=3.0, blend=blend)
    same = (sweep.edit_latents == sweep.source_latents).all(1)
    assert 0.02 < same.float().mean() < 0.98
    untouched = Blend("ball", "hexagon", threshold=1.0)
    sweep = sd1_editor.sweep(SOURCE, TARGET, steps=5, guidance_scale=3.0, blend=untouched)
    assert (sweep.edit_latents == sweep.source_latents).all()


def test_a_blend_that_never_starts_changes_nothing(sd1_editor: p2p.Editor) -> None:
    common: dict[str, Any] = {"taus": (0.3, 0.7), "steps": 5, "guidance_scale": 3.0}
    plain = sd1_editor.sweep(SOURCE, TARGET, **common)
    late = sd1_editor.sweep(SOURCE, TARGET, blend=Blend("ball", "hexagon", start=1.0), **common)
    assert torch.allclose(late.edit_latents, plain.edit_latents, atol=1e-4)


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m"])
def test_the_tree_forks_what_has_been_seen(sd1_editor: p2p.Editor, sampler: str) -> None:
    """And a second copy of the source, where not all fit beside it, has seen the same."""

    def request(*taus: float) -> p2p.SweepRequest:
        blend = Blend("ball", "hexagon", threshold=0.93, start=0.0)
        return p2p.SweepRequest(
            SOURCE, TARGET, taus, steps=6, sampler=sampler, guidance_scale=3.0, blend=blend
        )

    taus = (0.0, 0.4, 0.7, 1.0)
    whole, cut = (sd1_editor.sweep_many([request(*taus)], batch_rows)[0] for batch_rows in (16, 4))
    schedule_nodes = whole.rows // 2 - 6
    assert cut.rows == 2 * 2 * schedule_nodes, "one source beside every edit"
    for tau, latents, others in zip(taus, whole.edit_latents, cut.edit_latents, strict=True):
        alone = sd1_editor.sweep_many([request(tau)])[0].edit_latents[0]
        assert torch.allclose(latents, alone, atol=1e-4)
        assert torch.allclose(others, alone, atol=1e-4)
    assert (whole.edit_latents[0] - whole.edit_latents[-1]).abs().max() > 1e-3
