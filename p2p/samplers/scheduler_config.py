"""The scheduler config of a diffusers folder, and the samplers and steps that fit it. torch is not imported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conf.messages import error_line
from p2p.errors import ModelError, P2PError
from p2p.models.model_folder import local_folder

FOR_DIFFUSION = ("ddim", "euler", "euler_ancestral", "dpmpp_2m", "unipc", "lcm")
FOR_FLOW = ("flow_match_euler",)
"""The built-in samplers of models that predict ε or v, and of those that predict a flow."""


def check_sampling(
    model: str | Path, revision: str | None, sampler: str, steps: int, spacing: str | None = None
) -> None:
    """Checks a built-in sampler and its steps against a model, whose weights are not loaded.

    Raises:
        P2PError: the sampler is not for the model's prediction, it has no ``spacing`` to choose, or the model was
            trained with fewer steps.
        ModelError: there is no such model, or its scheduler config is damaged.
    """
    path = local_folder(model, revision, whole=False) / "scheduler" / "scheduler_config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return  # the model's own loading reports a missing part
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is damaged: {error_line(error)}") from error
    check_fit(config, sampler, steps, spacing)


def check_fit(config: Mapping[str, Any], sampler: str, steps: int, spacing: str | None = None) -> None:
    """Checks a sampler and its steps against a scheduler's config. Raises P2PError as ``check_sampling``."""
    flow = predicts_flow(config)
    fitting = FOR_FLOW if flow else FOR_DIFFUSION
    if sampler in (*FOR_DIFFUSION, *FOR_FLOW) and sampler not in fitting:
        predicted = "a flow" if flow else config.get("prediction_type", "epsilon")
        raise P2PError(
            f"sampler {sampler!r} does not fit a model that predicts {predicted}; use {' or '.join(fitting)}"
        )
    if spacing is not None and sampler in (*FOR_FLOW, "lcm"):
        raise P2PError(f"sampler {sampler!r} has a schedule without spacing; remove spacing={spacing!r}")
    trained = config.get("num_train_timesteps", 1000)
    if steps > trained:
        raise P2PError(f"steps = {steps} is more than the {trained} that the model was trained with")


def predicts_flow(config: Mapping[str, Any]) -> bool:
    """True if a scheduler's config belongs to a flow-matching model."""
    return (
        config.get("prediction_type") in ("flow", "flow_prediction")
        or str(config.get("_class_name", "")).startswith("FlowMatch")
        or bool(config.get("use_flow_sigmas"))
    )
