from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from omegaconf import MISSING, OmegaConf

from conf.bounds import at_least, bounded
from conf.compose import (
    ConfigError,
    compose_config,
    describe,
    expand_sweep,
    read_settings,
    show_package,
    to_object,
)
from conf.hydra_options import HydraOptions
from conf.pairs import PairsConfig
from conf.running import Sheet
from conf.schema import CaptionsKind, Config, ImageFormat, LogLevel, Measure, Rounding, SamplerName, Spacing
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


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("sweep.tau=[0.5]", ["sweep.tau", "sweep.taus"]),
        ("modle=sd15", ["modle", "model"]),
        ("steps=3", ["steps", "sampler.steps"]),
        ("model=sd16", ["sd16", "sd15", "sd21", "miniworld"]),
        ("seed=abc", ["seed", "abc", "Integer"]),
        ("shards.format=gif", ["shards.format", "gif", "png", "webp"]),
        ("model.dtype=int8", ["model.dtype", "int8", "auto", "fp32", "bf16", "fp16"]),
        ("model.compile=fast", ["model.compile", "fast", "none", "default", "max-autotune"]),
        ("model.channels_last=2.5", ["model.channels_last", "2.5", "bool"]),
        ("model.tf32=perhaps", ["model.tf32", "perhaps", "bool"]),
        ("captions=jsonl", ["captions.path", "no value"]),
        ("sweep.samples=3", ["sweep.samples", "another option"]),
        ("filter.measures=[{kind:ssim,leest:0.3}]", ["filter.measures", "'leest' (did you mean least?)"]),
        ("captions.fields={inptu:a}", ["captions.fields", "'inptu' (did you mean input?)"]),
        ("status", ["status", "key=value"]),
        ("+x=1", ["unknown key 'x'"]),
        ("++sampler.step=3", ["sampler.step", "sampler.steps"]),
        ("~sampler.step", ["sampler.step", "sampler.steps"]),
        ("~model", ["model", "no value"]),
        ("hydra=3", ["cannot be composed"]),
        ("+seed=3", ["seed", "already", "++seed=3"]),
        ("+experiment=demo", ["experiment", "without +"]),
        ("~model.path", ["model.path", "no value"]),
        ("~sweep.samples", ["sweep.samples", "not in this configuration"]),
        ("hydra.run.dir=x", ["hydra.run.dir", "out=FOLDER"]),
        ("hydra/launcher=basic", ["hydra/launcher", "out=FOLDER"]),
        ("+hydra.x=1", ["hydra.x", "out=FOLDER"]),
        ("seed=0,1", ["seed=0,1", "--multirun"]),
        ("seed=range(0,3)", ["seed=range(0,3)", "--multirun"]),
        ("seed=1=2", ["seed=1=2", "Integer"]),
        ("sweep.taus=[0.1", ["sweep.taus=[0.1", "quotes"]),
    ],
)
def test_an_invalid_setting_is_one_line_that_names_it(setting: str, said: list[str]):
    with pytest.raises(ConfigError) as error:
        composed(setting)
    assert "\n" not in str(error.value)
    for word in said:
        assert word in str(error.value)


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
