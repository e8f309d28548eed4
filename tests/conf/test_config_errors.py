from __future__ import annotations

import pytest

from conf.config_errors import ConfigError
from tests.conf.test_compose import composed


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
