from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from conf.compose import compose_config
from conf.config_errors import ConfigError
from conf.hydra_options import HydraOptions
from conf.schema import Config


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["model=sd15", "sampler=euler", "sampler.steps=7", "filter.measures=[{kind:lpips,most:0.5}]"],
        ["sweep=adaptive", "tracker=wandb", "hydra.verbose=true"],
    ],
)
def test_what_is_remembered_is_what_hydra_composes(settings: list[str], tmp_path: Path):
    # With a folder of the user's, nothing is remembered.
    wanted = compose_config(settings, "/nowhere/{}".format, Config, HydraOptions(config_dir=str(tmp_path)))
    first = compose_config(settings, "/nowhere/{}".format)
    assert OmegaConf.to_yaml(first) == OmegaConf.to_yaml(wanted)
    OmegaConf.update(first, "sampler.steps", 99)
    assert compose_config(settings, "/nowhere/{}".format) == wanted


def test_errors_stay():
    for _ in range(2):
        with pytest.raises(ConfigError, match="no option 'sd16' in group 'model'"):
            compose_config(["model=sd16"], "/nowhere/{}".format)
