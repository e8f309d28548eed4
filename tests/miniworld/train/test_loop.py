from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from miniworld.train.loop import Recipe, train


def _problem() -> tuple[nn.ModuleDict, object]:
    torch.manual_seed(0)
    modules = nn.ModuleDict({"line": nn.Linear(3, 1)})

    def loss(step: int) -> Tensor:
        x = torch.randn(16, 3, generator=torch.Generator().manual_seed(step))
        return (modules["line"](x) - x @ torch.tensor([[1.0], [-2.0], [0.5]])).square().mean()

    return modules, loss


def test_training_sets_the_averaged_weights(tmp_path: Path) -> None:
    modules, loss = _problem()
    before = loss(10**6).item()
    train("line", modules, loss, Recipe(steps=300, learning_rate=0.05, warmup=5, average=0.9), tmp_path)
    assert loss(10**6).item() < before / 100


@pytest.mark.parametrize("stop", [1, 20, 39])
def test_a_resumed_run_ends_with_the_same_weights(
    tmp_path: Path, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(steps=40, learning_rate=0.05, warmup=5, average=0.9, checkpoint_every=1)
    whole, loss = _problem()
    train("line", whole, loss, recipe, tmp_path / "whole")

    modules, loss = _problem()

    def stopping(step: int) -> Tensor:
        if step == stop:
            raise KeyboardInterrupt
        return loss(step)

    with pytest.raises(KeyboardInterrupt):
        train("line", modules, stopping, recipe, tmp_path / "stopped")
    modules, loss = _problem()
    train("line", modules, loss, recipe, tmp_path / "stopped")
    for key, value in whole.state_dict().items():
        assert torch.equal(modules.state_dict()[key], value)
