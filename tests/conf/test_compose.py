from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from omegaconf import MISSING, OmegaConf

from conf.bounds import at_least, bounded
from conf.compose import compose_config, describe, expand_sweep, read_settings, show_package, to_object
from conf.config_errors import ConfigError
from conf.hydra_options import HydraOptions
from conf.pairs import PairsConfig
from conf.schema import CaptionsKind, Config, ImageFormat, Measure, Rounding, SamplerName, Spacing
from conf.setting_keys import GROUPS, options
from conf.sweeps import GridSweep, RandomSweep


def composed(*settings: str, **options):
    return to_object(compose_config(settings, "/world/{}".format, Config, HydraOptions(**options)))


def test_the_defaults_are_the_demo():
    config = composed()
    assert (config.limit, config.captions.path) == (48, "/world/captions")
    assert config.sweep == GridSweep(seeds=4, taus=[0.2, 0.4, 0.6, 0.8, 1.0])
    assert (config.model.path, config.filter.name) == ("/world/model", "local-dir:/world/clip")
    assert composed("experiment=demo") == config


def test_a_user_s_captions_have_no_limit():
    config = composed("captions=jsonl", "captions.path=a.jsonl")
    assert (config.captions.kind, config.captions.path, config.limit) == (CaptionsKind.jsonl, "a.jsonl", None)


def test_the_limit_defaults_to_that_of_the_captions():
    assert composed("limit=7").limit == 7
    assert composed("captions.limit=9").limit == 9
    assert composed("limit=null").limit is None


def test_steps_and_guidance_default_to_those_of_the_model():
    config = composed("model=path", "model.path=/m", "model.steps=11")
    assert (config.sampler.steps, config.sampler.guidance) == (11, 7.5)
    assert composed("sampler.steps=3").sampler.steps == 3


@pytest.mark.parametrize(
    ("model", "sampler"),
    [
        ("sd15", SamplerName.ddim),
        ("sdxl", SamplerName.ddim),
        ("sdxl_turbo", SamplerName.euler_ancestral),
        ("sd3", SamplerName.flow_match_euler),
        ("flux", SamplerName.flow_match_euler),
    ],
)
def test_a_model_selects_its_sampler(model: str, sampler: SamplerName):
    assert composed(f"model={model}").sampler.name == sampler
    assert composed(f"model={model}", "sampler=euler").sampler.name == SamplerName.euler


@pytest.mark.parametrize("model", ["sd15", "sd21", "sdxl", "sdxl_turbo", "sd3", "flux", "path"])
def test_a_model_selects_the_published_clip_and_jpeg(model: str):
    settings = (f"model={model}", "model.path=/m")
    assert (composed(*settings).filter.name, composed(*settings).shards.format) == (
        "ViT-L-14",
        ImageFormat.jpeg,
    )
    chosen = composed(*settings, "filter=miniworld", "shards=png")
    assert (chosen.filter.name, chosen.shards.format) == ("local-dir:/world/clip", ImageFormat.png)


def test_instructpix2pix_is_the_published_recipe():
    config = composed("experiment=instructpix2pix", "captions=jsonl", "captions.path=a")
    assert config.sweep == RandomSweep(
        samples=100, tau_min=0.1, tau_max=0.9, guidance_min=7.5, guidance_max=15.0
    )
    assert (config.sampler.name, config.sampler.steps) == (SamplerName.euler_ancestral, 100)
    # k-diffusion's spacing, and self-attention in all layers, as in its generator.
    assert (config.sampler.spacing, config.edit.self_max_size) == (Spacing.linspace, None)
    assert (config.edit.cross_gain, config.edit.self_gain, config.edit.inject_unconditional) == (0, 1, True)
    limits = config.filter
    assert (limits.name, limits.pretrained, limits.max_per_pair) == ("ViT-L-14", "openai", 4)
    assert (limits.clip_sim_0, limits.clip_sim_1, limits.clip_sim_dir, limits.clip_sim_image) == (
        0.2,
        0.2,
        0.2,
        0.75,
    )
    assert config.model.name == "sd15"


def test_prompt_to_prompt_has_the_settings_of_google_s_notebook():
    config = composed("experiment=prompt_to_prompt", "captions=jsonl", "captions.path=a")
    assert (config.sampler.name, config.sampler.steps, config.sampler.guidance) == ("ddim", 50, 7.5)
    # 16×16 of 64×64 latents
    assert (config.edit.rounding, config.edit.self_max_size) == (Rounding.google, 0.25)


def test_ultraedit_s_filter_is_the_published_one():
    limits = composed("filter=ultraedit").filter
    assert (limits.name, limits.pretrained, limits.max_per_pair) == ("ViT-L-14", "openai", 4)
    assert (limits.clip_sim_0, limits.clip_sim_1, limits.clip_sim_dir, limits.clip_sim_image) == (
        0.2,
        0.2,
        0.22,
        0.75,
    )
    assert limits.measures == [Measure(kind="dino", model="facebook/dinov2-base", least=0.4)]


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_composes_and_says_what_it_is(group: str):
    for name, about in options(group).items():
        assert about, f"{group}/{name}.yaml has no first line of comment"
        needs = ["captions.path=a", "model.path=b"]
        assert not OmegaConf.missing_keys(compose_config([f"{group}={name}", *needs], "/world/{}".format))


def test_every_sampler_of_the_schema_is_an_option_under_its_name():
    assert set(options("sampler")) == {name.value for name in SamplerName}
    for name in SamplerName:
        assert composed(f"sampler={name.value}").sampler.name == name


@dataclass
class Command:
    to: str = MISSING
    rows: int = bounded(at_least(1), 3)


def test_settings_fill_the_dataclass_of_a_command():
    assert read_settings(Command, ["to=there", "rows=7"], "example") == Command("there", 7)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ([], "to has no value: give to=…"),
        (["to=there", "rows"], "'rows' is not a setting"),
        (["to=there", "rows=many"], "rows: "),
        (["to=there", "row=3"], "row: "),
    ],
)
def test_an_error_of_a_command_names_its_help(settings: list[str], message: str):
    with pytest.raises(ConfigError) as error:
        read_settings(Command, settings, "example")
    assert message in str(error.value)
    assert "see pairforge example --help" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_value_out_of_its_bound_is_refused():
    with pytest.raises(ConfigError, match=r"^rows=0 must be 1 or more$"):
        read_settings(Command, ["to=there", "rows=0"], "example")


def test_the_configuration_is_described_as_hydra_does():
    def text(*settings: str, **options) -> str:
        return describe(settings, "/world/{}".format, Config, HydraOptions(**options))

    job = yaml.safe_load(text("sampler.guidance=3", cfg="job"))
    assert (job["sampler"]["steps"], job["sampler"]["guidance"]) == ("${model.steps}", 3)
    assert yaml.safe_load(text(cfg="job", resolve=True))["sampler"]["steps"] == 12
    assert yaml.safe_load(text("captions=jsonl", cfg="job"))["captions"]["path"] == "???"
    assert "hydra" not in job
    assert list(yaml.safe_load(text(cfg="hydra"))) == ["hydra"]
    assert {"hydra", "sampler"} <= set(yaml.safe_load(text(cfg="all")))
    part = text(cfg="job", package="early")
    assert part.startswith("# @package early\n")
    assert yaml.safe_load(part)["at"] is None
    assert text(cfg="hydra", package="hydra.job.name") == "pairforge\n"
    assert text(cfg="job", package="log") == "error\n"


def test_a_part_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match=r"--package modle: .* no such part \(did you mean model\?\)"):
        show_package(compose_config([], "/world/{}".format), "modle", False)


@pytest.mark.parametrize(
    ("settings", "keys", "values"),
    [
        (["seed=0,1", "limit=3", "sampler.steps=range(2,9,3)"], ["seed", "sampler.steps"],
         [("0", "2"), ("0", "5"), ("0", "8"), ("1", "2"), ("1", "5"), ("1", "8")]),
        (["model=glob(sd*,exclude=sdxl*)", "seed=choice(3,4)"], ["model", "seed"],
         [(model, seed) for model in ("sd15", "sd21", "sd3") for seed in ("3", "4")]),
        (["sweep.taus=[0.1,0.2],[0.5]"], ["sweep.taus"], [("[0.1,0.2]",), ("[0.5]",)]),
        (["seed=0,1", "seed=5"], [], [()]),
        (["captions.path=a ü.jsonl"], [], [()]),
    ],
)  # fmt: skip
def test_a_sweep_has_every_combination(settings: list[str], keys: list[str], values: list[tuple[str, ...]]):
    swept, runs = expand_sweep(settings, "/world/{}".format, Config, HydraOptions(multirun=True))
    assert swept == keys
    assert [tuple(dict(s.split("=", 1) for s in run)[key] for key in keys) for run in runs] == values


def test_a_sweep_without_a_list_of_values_is_refused():
    with pytest.raises(ConfigError, match="does not support sweep type"):
        expand_sweep(["seed=interval(0,1)"], "/world/{}".format, Config, HydraOptions(multirun=True))


def test_pairs_has_a_primary_configuration_of_its_own(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text("defaults: [pairs, _self_]\nedits: 3\ncaptions: {path: c.txt}\n")
    options = HydraOptions(config_dir=str(tmp_path), config_name="mine")
    config = compose_config([], "/world/{}".format, PairsConfig, options)
    assert (config.edits, config.captions.path) == (3, "c.txt")
