"""Samplers and steps against the scheduler config of a model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from p2p.errors import ModelError, P2PError
from p2p.samplers.sampler_registry import SAMPLERS
from p2p.samplers.scheduler_config import FOR_DIFFUSION, FOR_FLOW, check_fit, check_sampling, predicts_flow


@pytest.mark.parametrize(
    ("config", "flow"),
    [
        ({"prediction_type": "epsilon", "_class_name": "DDIMScheduler"}, False),
        ({"prediction_type": "v_prediction"}, False),
        ({}, False),
        ({"prediction_type": "flow_prediction"}, True),
        ({"prediction_type": "flow"}, True),
        ({"_class_name": "FlowMatchHeunDiscreteScheduler"}, True),
        ({"prediction_type": "epsilon", "use_flow_sigmas": True}, True),
    ],
)
def test_flow_models_are_known_by_their_scheduler(config: dict[str, Any], flow: bool) -> None:
    assert predicts_flow(config) is flow
    for name in FOR_FLOW if flow else FOR_DIFFUSION:
        check_fit(config, name, 1000)
    for name in FOR_DIFFUSION if flow else FOR_FLOW:
        with pytest.raises(P2PError, match="does not fit a model that predicts"):
            check_fit(config, name, 10)


def test_every_sampler_is_for_one_prediction() -> None:
    assert sorted(SAMPLERS) == sorted((*FOR_DIFFUSION, *FOR_FLOW))


def test_a_sampler_of_the_user_fits_any_model() -> None:
    check_fit({"prediction_type": "flow"}, "my.sampler", 1000)


def test_more_steps_than_in_training_are_refused() -> None:
    check_fit({"num_train_timesteps": 50}, "ddim", 50)
    with pytest.raises(P2PError, match="steps = 51 is more than the 50"):
        check_fit({"num_train_timesteps": 50}, "ddim", 51)


def test_a_folder_is_read_without_its_weights(tmp_path: Path) -> None:
    check_sampling(tmp_path, None, "ddim", 10)
    (tmp_path / "scheduler").mkdir()
    path = tmp_path / "scheduler/scheduler_config.json"
    path.write_text(json.dumps({"_class_name": "FlowMatchEulerDiscreteScheduler"}))
    with pytest.raises(P2PError, match="use flow_match_euler"):
        check_sampling(tmp_path, None, "ddim", 10)
    path.write_text("{")
    with pytest.raises(ModelError, match="is damaged"):
        check_sampling(tmp_path, None, "ddim", 10)


def test_the_check_does_not_import_torch() -> None:
    code = "import sys, p2p.samplers.scheduler_config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
