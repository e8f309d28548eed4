"""Edits that are left on the way: what goes on is, to the bit, what it is without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import p2p
from p2p.samplers.sampler_registry import SAMPLERS, make_sampler

SOURCE, TARGET = "a red ball on grass", "a blue hexagon on grass"
TAUS = (0.0, 0.5, 1.0)


@pytest.fixture(scope="module")
def padding_editor(sd1_folder: Path) -> p2p.Editor:
    """Its batches have one shape, so results can be compared to the bit."""
    editor = p2p.load(sd1_folder, device="cpu")
    editor.pad = True
    return editor


class Seen:
    """Leaves trajectories of which any member is among ``left``, and remembers what was shown."""

    def __init__(self, left: Sequence[int] = ()) -> None:
        self.left, self.shown = set(left), list[p2p.PredictedImages]()

    def __call__(self, predicted: p2p.PredictedImages) -> list[bool]:
        self.shown.append(predicted)
        return [not self.left & set(members) for members in predicted.members]


def request(taus: Sequence[float] = TAUS, steps: int = 8, **more: object) -> p2p.SweepRequest:
    return p2p.SweepRequest(SOURCE, TARGET, taus, steps=steps, guidance_scale=3.0, **more)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    taus=st.lists(st.integers(0, 10).map(lambda k: k / 10), min_size=1, max_size=4, unique=True),
    steps=st.integers(2, 6),
    at=st.floats(0.1, 0.9),
    sampler=st.sampled_from(sorted(set(SAMPLERS) - {"flow_match_euler"})),
    left=st.sets(st.integers(0, 3)),
    batch_rows=st.sampled_from([4, 7, 16]),
)
def test_what_goes_on_is_what_it_is_without(
    padding_editor: p2p.Editor,
    taus: list[float],
    steps: int,
    at: float,
    sampler: str,
    left: set[int],
    batch_rows: int,
) -> None:
    asked, seen = request(taus, steps, sampler=sampler), Seen(tuple(left))
    (without,) = padding_editor.sweep_many([asked], batch_rows)
    (stopped,) = padding_editor.sweep_many([asked], batch_rows, p2p.EarlyStop(at, seen))
    (shown,) = seen.shown
    assert sorted(place for members in shown.members for place in members) == list(range(len(taus)))
    gone = {place for members in shown.members if left & set(members) for place in members}
    assert stopped.stopped == tuple(sorted(gone))
    for place in set(range(len(taus))) - gone:
        assert torch.equal(stopped.edit_latents[place], without.edit_latents[place])
        assert np.array_equal(stopped.edits[place], without.edits[place])
    for members, image in zip(shown.members, shown.edits, strict=True):
        for place in gone & set(members):
            assert np.array_equal(stopped.edits[place], image), "what was left is shown as it was predicted"
    if len(gone) < len(taus):
        assert torch.equal(stopped.source_latents, without.source_latents)
    else:
        assert np.array_equal(stopped.source, shown.source)
    assert stopped.rows <= without.rows - 2 * bool(gone)


@pytest.mark.parametrize(("left", "saved"), [((), 0), ((1,), 4), ((0, 2), 8), ((0, 1, 2), 16)])
def test_an_edit_that_is_left_costs_no_row_more(
    sd1_editor: p2p.Editor, left: tuple[int, ...], saved: int
) -> None:
    """After 4 of 8 steps all three are trajectories of their own; without any the source goes too."""
    (without,) = sd1_editor.sweep_many([request()])
    (stopped,) = sd1_editor.sweep_many([request()], early_stop=p2p.EarlyStop(0.5, Seen(left)))
    assert without.rows - stopped.rows == 2 * saved


def test_a_trunk_is_left_with_all_its_members(sd1_editor: p2p.Editor) -> None:
    """With τ = 0.5 and 1 all alike for 4 of 8 steps, an early stop after 2 sees one trajectory for both."""
    asked, seen = request(self_gain=1.0), Seen((2,))
    (stopped,) = sd1_editor.sweep_many([asked], early_stop=p2p.EarlyStop(0.25, seen))
    assert sorted(seen.shown[0].members) == [(0,), (1, 2)]
    assert stopped.stopped == (1, 2)


def test_copies_of_a_source_end_with_the_branches_they_feed(sd1_editor: p2p.Editor) -> None:
    asked = request(self_gain=0.5, word_taus={"grass": 0.5})
    (without,) = sd1_editor.sweep_many([asked], 4)
    (stopped,) = sd1_editor.sweep_many([asked], 4, p2p.EarlyStop(0.25, Seen((1, 2))))
    (alone,) = sd1_editor.sweep_many([request((0.0,), self_gain=0.5, word_taus={"grass": 0.5})], 4)
    assert stopped.rows < without.rows
    assert torch.allclose(stopped.edit_latents[0], alone.edit_latents[0], atol=1e-4)


def test_each_is_shown_once_and_the_same_in_any_company(padding_editor: p2p.Editor) -> None:
    asked = [
        request(seed=1, steps=9),
        request((0.4,), seed=2, steps=5, sampler="dpmpp_2m"),
        request((0.0, 1.0), steps=4, sampler="euler_ancestral"),
        request(steps=6, blend=("ball", "hexagon")),
        p2p.SweepRequest(SOURCE, TARGET, TAUS, steps=5, guidance_scale=1.0),
    ]
    together = Seen()
    padding_editor.sweep_many(asked, 12, p2p.EarlyStop(0.5, together))
    assert sorted(one.request for one in together.shown) == list(range(len(asked)))
    for among in together.shown:
        alone = Seen()
        padding_editor.sweep_many([asked[among.request]], 12, p2p.EarlyStop(0.5, alone))
        assert alone.shown[0].members == among.members
        assert np.array_equal(alone.shown[0].source, among.source)
        assert np.array_equal(alone.shown[0].edits, among.edits)


def test_with_nothing_to_save_nothing_is_stopped_at(sd1_editor: p2p.Editor) -> None:
    seen = Seen((0, 1, 2))
    asked = [request(steps=1), request(method="sdedit")]
    stopped = sd1_editor.sweep_many(asked, early_stop=p2p.EarlyStop(0.5, seen))
    without = sd1_editor.sweep_many(asked)
    assert not seen.shown
    for one, other in zip(stopped, without, strict=True):
        assert one.rows == other.rows
        assert torch.equal(one.edit_latents, other.edit_latents)


@pytest.mark.parametrize(("at", "step"), [(0.01, 1), (0.25, 2), (0.5, 4), (0.99, 7)])
def test_a_step_is_before_and_one_after(at: float, step: int) -> None:
    assert p2p.EarlyStop(at, Seen()).before_step(8) == step


@pytest.mark.parametrize("at", [0.0, 1.0, -0.5, float("nan")])
def test_the_fraction_of_the_steps_is_checked(at: float) -> None:
    with pytest.raises(p2p.P2PError, match=r"early stop at = .* is not in \(0, 1\)"):
        p2p.EarlyStop(at, Seen())


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_prediction_is_what_noise_was_added_to(sd1_editor: p2p.Editor, name: str) -> None:
    """A denoiser that knows the noise predicts the clean latents; LCM's function nearly, where noise is much."""
    flow = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}
    config = flow if name == "flow_match_euler" else sd1_editor.family.scheduler_config
    sampler = make_sampler(name, config, 6, torch.device("cpu"))
    clean, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0)).clamp(-0.9, 0.9)
    for i in (1, 4):
        output = noise - clean if name == "flow_match_euler" else noise
        predicted = sampler.denoised(sampler.noised(clean, noise, i).x, output, torch.tensor([i]))
        assert torch.allclose(predicted, clean, atol=0.02 if name == "lcm" else 1e-4)
