"""Training loop of all models: AdamW, one cycle of the learning rate, averaged weights, checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

Loss = Callable[[int], Tensor]
"""The loss of step i. Batch and noise depend on i alone, so that a resumed run gives the same result."""


@dataclass(frozen=True)
class Recipe:
    """Settings of a training run. The learning rate rises over ``warmup`` steps, then falls to zero."""

    steps: int
    learning_rate: float = 1e-3
    warmup: int = 100
    weight_decay: float = 0.01
    average: float = 0.999
    checkpoint_every: int = 250


def device() -> torch.device:
    """Chooses the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class _SingleAttention(TorchFunctionMode):
    """Fused attention in float32 under autocast: its backward in bfloat16 takes twice as long on CPUs."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is not F.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        query, key, value, *rest = args
        with torch.autocast("cpu", enabled=False):
            out = func(query.float(), key.float(), value.float(), *rest, **(kwargs or {}))
        return out.to(value.dtype)


@contextmanager
def fast_matmul() -> Iterator[None]:
    """Computes matrix products in bfloat16, but not on processors that only emulate it, many times slower."""
    with ExitStack() as stack:
        if device().type == "cpu" and not _has_bfloat16():
            yield
            return
        stack.enter_context(torch.autocast(device().type, torch.bfloat16))
        if device().type == "cpu":
            stack.enter_context(_SingleAttention())
        yield


def _has_bfloat16() -> bool:
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def train(name: str, modules: nn.ModuleDict, loss: Loss, recipe: Recipe, folder: Path) -> None:
    """Trains `modules` in place, from the last checkpoint in `folder` if any, and sets the averaged weights."""
    parameters = [p for p in modules.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, recipe.learning_rate, (0.9, 0.99), weight_decay=recipe.weight_decay
    )
    average = {key: value.detach().clone() for key, value in modules.state_dict().items()}
    path = folder / f"{name}.safetensors"
    first = _resume(path, modules, average, optimizer, parameters)
    started, shown, mean = time.monotonic(), time.monotonic(), 0.0
    for step in range(first, recipe.steps):
        for params in optimizer.param_groups:
            params["lr"] = _rate(recipe, step)
        value = loss(step)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        decay = min(recipe.average, (1 + step) / (10 + step))
        with torch.no_grad():
            for key, tensor in modules.state_dict().items():
                if tensor.is_floating_point():
                    average[key].lerp_(tensor, 1 - decay)
        mean = value.item() if step == first else 0.98 * mean + 0.02 * value.item()
        last = step + 1 == recipe.steps
        if last or (step + 1) % recipe.checkpoint_every == 0:
            _checkpoint(path, step + 1, modules, average, optimizer, parameters)
        if last or time.monotonic() - shown > 15:
            shown = time.monotonic()
            pace = (shown - started) / (step + 1 - first)
            minutes_left = pace * (recipe.steps - step - 1) / 60
            print(
                f"{name}: step {step + 1}/{recipe.steps}  loss {mean:.4f}  "
                f"{pace:.2f} s/step  {minutes_left:.0f} min left",
                flush=True,
            )
    modules.load_state_dict(average)


def _rate(recipe: Recipe, step: int) -> float:
    rise = min(1.0, (step + 1) / recipe.warmup)
    fall = 1 - step / recipe.steps
    return recipe.learning_rate * rise * max(fall, 0.01)


def _checkpoint(
    path: Path,
    step: int,
    modules: nn.ModuleDict,
    average: dict[str, Tensor],
    optimizer: torch.optim.AdamW,
    parameters: list[nn.Parameter],
) -> None:
    tensors = {f"weights/{key}": value for key, value in modules.state_dict().items()}
    tensors |= {f"average/{key}": value for key, value in average.items()}
    for index, parameter in enumerate(parameters):
        for moment in ("exp_avg", "exp_avg_sq"):
            if parameter in optimizer.state:
                tensors[f"{moment}/{index}"] = optimizer.state[parameter][moment]
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    copies = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    save_file(copies, unfinished, {"step": str(step)})
    unfinished.rename(path)


def _resume(
    path: Path,
    modules: nn.ModuleDict,
    average: dict[str, Tensor],
    optimizer: torch.optim.AdamW,
    parameters: list[nn.Parameter],
) -> int:
    if not path.exists():
        return 0
    with safe_open(path, "pt") as file:
        step = int(file.metadata()["step"])
        modules.load_state_dict({key: file.get_tensor(f"weights/{key}") for key in modules.state_dict()})
        for key in average:
            average[key].copy_(file.get_tensor(f"average/{key}"))
        names = set(file.keys())
        for index, parameter in enumerate(parameters):
            if f"exp_avg/{index}" in names:
                optimizer.state[parameter] = {
                    "step": torch.tensor(float(step)),
                    "exp_avg": file.get_tensor(f"exp_avg/{index}").to(parameter.device),
                    "exp_avg_sq": file.get_tensor(f"exp_avg_sq/{index}").to(parameter.device),
                }
    print(f"{path.stem}: resumes at step {step}", flush=True)
    return step
