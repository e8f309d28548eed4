"""A compiled denoiser: the same sweeps, of a few graphs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch._inductor.compile_fx import compile_fx

import p2p

SOURCE, TARGET = "a red ball on grass", "a blue hexagon on grass"
SETTINGS: dict[str, Any] = {"steps": 6, "guidance_scale": 3.0}


def eager(graph: torch.fx.GraphModule, example: list[torch.Tensor]) -> Callable[..., Any]:
    return graph.forward


def compiled(
    folder: Path, backend: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, mode: str = "default"
) -> tuple[p2p.Editor, list[int]]:
    """An editor whose denoiser is compiled by a backend that counts, and the sizes of its graphs."""
    graphs: list[int] = []
    compile_in_place = torch.nn.Module.compile

    def counting(graph: torch.fx.GraphModule, example: list[torch.Tensor]) -> Callable[..., Any]:
        graphs.append(len(graph.graph.nodes))
        return backend(graph, example)

    def with_backend(module: torch.nn.Module, *, mode: str, **settings: Any) -> None:
        compile_in_place(module, backend=counting, **settings)

    monkeypatch.setattr(torch.nn.Module, "compile", with_backend)
    torch._dynamo.reset()
    return p2p.load(folder, device="cpu", compile=mode), graphs


def requests() -> list[p2p.SweepRequest]:
    """Everything that batches may differ in: D of some words and of none, weights, self-attention injected and not."""
    return [
        p2p.SweepRequest(
            SOURCE, TARGET, (0.2, 0.5, 1.0), word_taus={"hexagon": 0.2}, reweight={"blue": 1.5}, **SETTINGS
        ),
        p2p.SweepRequest(SOURCE, "a red ball on grass at night", (0.5, 1.0), **SETTINGS),
        # Nothing of cross-attention is injected, and then nothing else; every other length is 1.
        p2p.SweepRequest(SOURCE, TARGET, (1.0,), cross_gain=0.0, inject_unconditional=True, **SETTINGS),
        p2p.SweepRequest(SOURCE, TARGET, (1.0,), self_gain=0.0, steps=3, guidance_scale=1.0),
    ]


def check(editor: p2p.Editor, plain: p2p.Editor, graphs: list[int], requests: list[p2p.SweepRequest]) -> None:
    for request in requests:
        sweep, expected = (each.sweep_many([request], batch_rows=8)[0] for each in (editor, plain))
        assert torch.allclose(sweep.edit_latents, expected.edit_latents, atol=1e-4)
        assert torch.allclose(sweep.source_latents, expected.source_latents, atol=1e-4)
    assert len(graphs) == 2, "one where nothing is injected, one for all else"


def test_a_sweep_takes_two_graphs(
    sd1_folder: Path, sd1_editor: p2p.Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor, graphs = compiled(sd1_folder, eager, monkeypatch)
    check(editor, sd1_editor, graphs, requests()[::2])


@pytest.mark.long
def test_graphs_of_the_compiler(
    sd1_folder: Path, sd1_editor: p2p.Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor, graphs = compiled(sd1_folder, compile_fx, monkeypatch)
    check(editor, sd1_editor, graphs, requests())
    blend = p2p.SweepRequest(SOURCE, TARGET, blend=p2p.Blend("ball", "hexagon", threshold=0.9), **SETTINGS)
    sweep, expected = (each.sweep_many([blend], batch_rows=8)[0] for each in (editor, sd1_editor))
    assert torch.allclose(sweep.edit_latents, expected.edit_latents, atol=1e-4)
    assert len(graphs) == 3, "and one where words are watched"


@pytest.mark.long
def test_no_unit_after_the_first_makes_a_graph(sd1_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs advance by rounds of their own, as in an adaptive unit; the second unit has other numbers of rounds."""
    editor, graphs = compiled(sd1_folder, compile_fx, monkeypatch)

    def unit(rounds: list[int]) -> None:
        left = dict(enumerate(rounds))

        def respond(finished: list[tuple[int, p2p.Sweep]]) -> list[p2p.SweepRequest]:
            pairs = [pair for pair in left if left[pair]][: len(finished)]
            for pair in pairs:
                left[pair] -= 1
            return [p2p.SweepRequest(SOURCE, TARGET, (0.3, 0.7), seed=pair, **SETTINGS) for pair in pairs]

        first = [p2p.SweepRequest(SOURCE, TARGET, (0.5,), seed=pair, **SETTINGS) for pair in left]
        editor.sweep_queue(first, respond, batch_rows=8)
        assert not any(left.values())

    unit([1, 3])
    made = len(graphs)
    assert made <= 2, "of one shape"
    unit([2, 0, 1])
    assert len(graphs) == made
    calls = editor.usage.calls
    assert editor.usage.rows + editor.usage.padding == 8 * calls


def test_replays_do_not_overwrite_results(
    sd1_folder: Path, sd1_editor: p2p.Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backend writes every result into the same memory, as a CUDA graph does when it is replayed."""

    def replayed(graph: torch.fx.GraphModule, example: list[torch.Tensor]) -> Callable[..., Any]:
        memory: dict[torch.Size, torch.Tensor] = {}

        def call(*arguments: Any) -> Any:
            results = graph.forward(*arguments)
            return tuple(memory.setdefault(each.shape, each.clone()).copy_(each) for each in results)

        return call

    editor, graphs = compiled(sd1_folder, replayed, monkeypatch, "reduce-overhead")
    network, seen = editor.family, []
    denoise = network.denoise
    monkeypatch.setattr(network, "denoise", lambda *batch: seen.append(denoise(*batch)) or seen[-1])
    check(editor, sd1_editor, graphs, requests()[::2])
    assert len({result.data_ptr() for result in seen}) == len(seen)


def test_modes_there_are(sd1_folder: Path) -> None:
    with pytest.raises(
        p2p.ModelError,
        match="compile 'fast' is unknown; there are none, auto, default, reduce-overhead, max-autotune",
    ):
        p2p.load(sd1_folder, compile="fast")


def test_maps_of_a_compiled_denoiser_take_no_graph(
    sd1_folder: Path, sd1_editor: p2p.Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor, graphs = compiled(sd1_folder, eager, monkeypatch)
    request = p2p.SweepRequest(SOURCE, TARGET, (0.5,), steps=2, guidance_scale=3.0)
    maps, expected = (each.edit_attention(request) for each in (editor, sd1_editor))
    assert not graphs
    assert maps[1].words == expected[1].words
    assert np.allclose(maps[1].maps, expected[1].maps, atol=1e-5)
