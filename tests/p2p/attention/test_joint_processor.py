"""Transformers with joint attention, compiled and watched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import p2p
from tests import models

SOURCE, TARGET = "a red ball on grass", "a blue hexagon on grass"
RUN: dict[str, Any] = {"steps": 4, "guidance_scale": 3.0, "sampler": "flow_match_euler"}


@pytest.fixture(scope="module", params=["sd3", "flux"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    save = {"sd3": models.save_stable_diffusion_3, "flux": models.save_flux}[request.param]
    return save(tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def editor(folder: Path) -> p2p.Editor:
    return p2p.load(folder, device="cpu")


def requests() -> list[p2p.SweepRequest]:
    """Terms of both kinds, of either alone, of none, and lengths of one."""
    return [
        p2p.SweepRequest(SOURCE, TARGET, (0.3, 1.0), word_taus={"hexagon": 0.3}, **RUN),
        p2p.SweepRequest(SOURCE, "a red ball on grass at night", (0.5,), reweight={"night": 2.0}, **RUN),
        p2p.SweepRequest(SOURCE, TARGET, (1.0,), cross_gain=0.0, self_gain=1.0, **RUN),
        p2p.SweepRequest(SOURCE, TARGET, (1.0,), self_gain=1.0, **RUN),
        p2p.SweepRequest(SOURCE, TARGET, (0.5,), self_gain=0.0, **RUN),
    ]


@pytest.mark.parametrize(
    "folder", ["sd3", pytest.param("flux", marks=pytest.mark.long)], indirect=True, scope="module"
)
def test_a_sweep_takes_two_graphs(folder: Path, editor: p2p.Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = 0
    compile_in_place = torch.nn.Module.compile

    def counting(graph: torch.fx.GraphModule, example: list[torch.Tensor]) -> Callable[..., Any]:
        nonlocal graphs
        graphs += 1
        return graph.forward

    def with_backend(module: torch.nn.Module, *, mode: str, **settings: Any) -> None:
        compile_in_place(module, backend=counting, **settings)

    monkeypatch.setattr(torch.nn.Module, "compile", with_backend)
    torch._dynamo.reset()
    compiled = p2p.load(folder, device="cpu", compile="default")
    for request in requests():
        sweep, expected = (each.sweep_many([request], batch_rows=8)[0] for each in (compiled, editor))
        assert torch.allclose(sweep.edit_latents, expected.edit_latents, atol=1e-4)
        assert torch.allclose(sweep.source_latents, expected.source_latents, atol=1e-4)
    assert graphs == 2


def test_words_are_watched(editor: p2p.Editor) -> None:
    maps = editor.attention("a red ball on grass", **RUN)
    assert maps.words == ("a", "red", "ball", "on", "grass")


def test_latents_are_blended(editor: p2p.Editor) -> None:
    """Where all is held and nothing let go, the edit is its source."""
    free, held = (
        editor.sweep(SOURCE, TARGET, taus=(0.5,), blend=blend, **RUN)
        for blend in (None, p2p.Blend("ball", "hexagon", threshold=0.95, start=0.0))
    )
    moved = [(sweep.edit_latents[0] - sweep.source_latents).abs() for sweep in (free, held)]
    assert (moved[0] > 0).all()
    assert 0 < (moved[1] > 0).float().mean() < 1
