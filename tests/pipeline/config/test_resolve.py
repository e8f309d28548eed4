from __future__ import annotations

from pathlib import Path

import pytest

from conf.config_errors import ConfigError
from pipeline.config.resolve import checked, compose


def test_local_paths_become_absolute(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("model", "clip"):
        (tmp_path / name).mkdir()
    given = [
        "model=path",
        "model.path=model",
        "filter.name=local-dir:clip",
        "filter.pretrained=null",
        "out=made",
    ]
    config = checked(compose(given))
    assert config.model.path == str(tmp_path / "model")
    assert config.filter.name == f"local-dir:{tmp_path / 'clip'}"
    assert config.out == str(tmp_path / "made")


def test_hub_names_and_urls_stay_as_they_are(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = checked(compose(["model=sd15", "out=s3://bucket/a"]))
    assert config.model.path == "stable-diffusion-v1-5/stable-diffusion-v1-5"
    assert config.out == "s3://bucket/a"


def test_a_tau_grid_may_hold_its_ends():
    assert checked(compose(["sweep.taus=[0,1]"])).sweep.taus == [0.0, 1.0]
    with pytest.raises(ConfigError, match=r"sweep\.taus"):
        checked(compose(["sweep.taus=[-0.1]"]))


def test_the_guidance_interval_is_two_noise_levels():
    assert checked(compose(["sampler.guidance_interval=[0,2.5]"])).sampler.guidance_interval == [0.0, 2.5]
    for wrong in ("[1]", "[2,1]", "[-1,1]", "[1,1]"):
        with pytest.raises(ConfigError, match=r"sampler\.guidance_interval=.* must be two noise levels"):
            checked(compose([f"sampler.guidance_interval={wrong}"]))


@pytest.mark.parametrize(
    "setting", ["cluster.hours=0", "cluster.unit_seconds=0.5", "cluster.wait_seconds=-1"]
)
def test_time_limits_too_short_for_a_unit_are_refused(setting: str):
    with pytest.raises(ConfigError, match=setting):
        checked(compose([setting]))
