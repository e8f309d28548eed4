from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from conf.config_errors import ConfigError
from conf.running import Sheet
from conf.schema import Config, LogLevel
from conf.sweeps import RandomSweep
from tests.conf.test_compose import composed


def test_plus_and_tilde_change_keys_of_the_schema():
    assert composed("+captions.split=x", "++seed=3").captions.split == "x"
    assert composed("++seed=3").seed == 3
    assert (composed("~limit").limit, composed("~captions.limit").limit) == (None, None)
    assert composed("early.at=0.5", "~early.at") == composed("~tracker") == composed()
    assert composed("sheet.pairs=3", "~sheet").sheet == Sheet()


def test_verbose_shows_all_messages():
    assert composed("hydra.verbose=true").log is LogLevel.debug
    assert composed("hydra.verbose=false").log is LogLevel.error


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of a user's configurations: a primary one and an option of a group."""
    folder = tmp_path / "größe 1"
    (folder / "model").mkdir(parents=True)
    (folder / "model/big.yaml").write_text(
        "# a model of mine\ndefaults: [sd15]\npath: /models/big\nsteps: 21\n"
    )
    (folder / "night.yaml").write_text(
        "defaults: [config, override model: big, override sweep: random, _self_]\n"
        "sampler: {guidance: 9}\nlimit: 3\n"
    )
    return folder


def test_a_folder_of_the_user_s_has_further_options(own: Path):
    config = composed("model=big", config_dir=str(own))
    assert (config.model.name, config.model.path, config.sampler.steps) == ("sd15", "/models/big", 21)
    assert config.filter.name == "ViT-L-14"
    with pytest.raises(ConfigError, match=r"no option 'bag' in group 'model': choose one of big, flux, "):
        composed("model=bag", config_dir=str(own))


def test_a_configuration_of_the_user_s_takes_the_place_of_ours(own: Path):
    config = composed("limit=4", config_dir=str(own), config_name="night")
    assert isinstance(config, Config)
    assert isinstance(config.sweep, RandomSweep)
    assert (config.sampler.guidance, config.sampler.steps, config.limit) == (9, 21, 4)
    assert composed("model=miniworld", config_dir=str(own), config_name="night").model.name == "miniworld"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("limit: 3", "mine needs a defaults list that begins with: - config"),
        ("defaults: [pairs]", "mine needs a defaults list that begins with: - config"),
        (
            "defaults: [config, _self_]\nsamplr: {steps: 3}",
            "mine.yaml: unknown key 'samplr' (did you mean sampler",
        ),
        (
            "defaults: [config, _self_]\nsampler: {step: 3}",
            "unknown key 'sampler.step' (did you mean sampler.steps",
        ),
        ("defaults: [config, _self_]\nlimit: many", "limit: "),
        (
            "defaults: [config, override model: sd16]",
            "no option 'sd16' in group 'model': choose one of flux, ",
        ),
        ("defaults: [config, nothing]", "no configuration 'nothing'"),
        ("a: [", "no YAML"),
        ("- a", "mine"),
        ("text", "mine"),
        ("defaults: config", "mine"),
        ("defaults: [{a: 1, b: 2}]", "mine"),
        ("defaults: [config, _self_]\nlimit: ${nowhere}", "nowhere"),
    ],
)
def test_a_wrong_configuration_is_one_line(text: str, message: str, tmp_path: Path):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError) as error:
        composed(config_dir=str(tmp_path), config_name="mine")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_configuration_that_is_not_there_is_named(own: Path):
    with pytest.raises(ConfigError, match=r"nigth: .* has no nigth.yaml \(did you mean night\?\)"):
        composed(config_dir=str(own), config_name="nigth")
    with pytest.raises(ConfigError, match=r"give its folder, --config-dir"):
        composed(config_name="night")
    with pytest.raises(ConfigError, match=r"--config-dir .*/none is no folder"):
        composed(config_dir=str(own / "none"))


@pytest.mark.parametrize("kind", ["grid", "random", "adaptive"])
def test_a_saved_configuration_is_composed_again(kind: str):
    first = composed("model=sd15", f"sweep={kind}", "sampler.guidance=3", "limit=null", "keep=all-images")
    saved = yaml.safe_load(OmegaConf.to_yaml(OmegaConf.structured(first)))
    assert composed(saved=saved) == first
    again = composed("seed=4", "model=miniworld", "sampler.guidance=5", saved=saved)
    assert (again.seed, again.model.name, again.sampler.guidance) == (4, "miniworld", 5)
    assert (again.sampler.steps, again.filter) == (first.sampler.steps, first.filter)
    assert composed("sweep=grid", saved=saved).sweep == composed().sweep
    with pytest.raises(ConfigError, match="exclude each other"):
        composed("experiment=demo", saved=saved)
