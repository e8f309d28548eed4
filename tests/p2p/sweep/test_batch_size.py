"""How large batches are: as asked, as the work fills them, or as the memory has room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import p2p
from p2p.samplers.sampler import Sampler
from p2p.samplers.sampler_registry import make_sampler
from p2p.sweep.batch_size import batch_rows, count_rows, largest_batch
from p2p.sweep.sweep_plan import SweepPlan, make_plan

SOURCE, TARGET = "a red ball on grass", "a blue hexagon on grass"


@pytest.fixture
def plans(sd1_editor: p2p.Editor) -> Callable[..., list[SweepPlan]]:
    def sampler(name: str, steps: int, spacing: str | None) -> Sampler:
        return make_sampler(name, sd1_editor.family.scheduler_config, steps, torch.device("cpu"))

    def plans(count: int = 1, **settings: Any) -> list[SweepPlan]:
        request = p2p.SweepRequest(SOURCE, TARGET, **settings)
        return [make_plan(k, request, sd1_editor.family, sampler) for k in range(count)]

    return plans


def test_rows_are_known_beforehand(sd1_editor: p2p.Editor, plans: Callable[..., list[SweepPlan]]) -> None:
    (plan,) = plans(taus=[k / 10 for k in range(1, 10)], steps=50, self_gain=1.0)
    assert count_rows(plan) == 2 * (50 + 270)
    interval: dict[str, Any] = {"steps": 9, "guidance_interval": (0.5, 6.0)}
    assert count_rows(plans(**interval)[0]) == sd1_editor.sweep(SOURCE, TARGET, **interval).rows
    settings: dict[str, Any] = {"steps": 4, "taus": (0.2, 0.9), "guidance_scale": 1.0}
    assert count_rows(plans(**settings)[0]) == sd1_editor.sweep(SOURCE, TARGET, **settings).rows


@pytest.mark.parametrize(("count", "expected"), [(1, 16), (2, 32), (40, 256), (3, 64)])
def test_as_many_as_the_work_fills(count: int, expected: int, plans: Callable[..., list[SweepPlan]]) -> None:
    """Of 640 rows in 50 steps, 13 at a time."""
    several = plans(count, taus=[k / 10 for k in range(1, 10)], steps=50, self_gain=1.0)
    assert batch_rows("auto", several, limit=256) == expected
    assert batch_rows("auto", several, limit=24) == min(expected, 24)
    assert batch_rows(7, several, limit=4) == 7


def test_a_little_work_takes_the_least_there_is(plans: Callable[..., list[SweepPlan]]) -> None:
    assert batch_rows("auto", plans(taus=[0.0], steps=2, guidance_scale=1.0), limit=256) == 4


def test_a_word_that_is_no_number(plans: Callable[..., list[SweepPlan]]) -> None:
    with pytest.raises(p2p.P2PError, match="batch_rows = 'many'; give a number of rows or 'auto'"):
        batch_rows("many", plans(), limit=32)  # type: ignore[arg-type]


def test_gpus_say_when_it_is_too_much() -> None:
    assert largest_batch(torch.device("cuda")) > largest_batch(torch.device("cpu"))


class SmallMemory:
    """A denoiser that has room for so many rows."""

    def __init__(self, editor: p2p.Editor, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: list[int] = []
        denoise = editor.family.denoise

        def limited(latents: torch.Tensor, *rest: Any) -> torch.Tensor:
            self.rows.append(len(latents))
            if len(latents) > room:
                raise torch.OutOfMemoryError("no room")
            return denoise(latents, *rest)

        monkeypatch.setattr(editor.family, "denoise", limited)


@pytest.mark.parametrize("blend", [None, p2p.Blend("ball", "hexagon", threshold=0.93)])
def test_short_memory_halves_the_batch_and_loses_nothing(
    blend: p2p.Blend | None, sd1_editor: p2p.Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = p2p.SweepRequest(SOURCE, TARGET, (0.2, 0.6, 1.0), steps=5, guidance_scale=3.0, blend=blend)
    expected = sd1_editor.sweep_many([request])[0]
    editor = p2p.Editor(sd1_editor.family)
    memory = SmallMemory(editor, 7, monkeypatch)
    # The source and its branches, then three: 4, 6 and 8 rows.
    sweep = editor.sweep_many([request], batch_rows="auto")[0]
    assert torch.allclose(sweep.edit_latents, expected.edit_latents, atol=1e-4)
    assert sum(count > 7 for count in memory.rows) <= 2
    assert sum(count for count in memory.rows if count <= 7) == sweep.rows == editor.usage.rows
    memory.rows.clear()
    editor.sweep_many([request], batch_rows="auto")
    assert max(memory.rows) <= 7, "what there is room for is not forgotten"


def test_memory_for_less_than_a_source_and_its_edit(
    sd1_editor: p2p.Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = p2p.Editor(sd1_editor.family)
    SmallMemory(editor, 3, monkeypatch)
    with pytest.raises(torch.OutOfMemoryError):
        editor.sweep(SOURCE, TARGET, steps=2)
