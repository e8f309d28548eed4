from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import get_type_hints

import pytest
from omegaconf import OmegaConf

from conf.compose import compose_config, to_object
from conf.pairs import PairsConfig
from conf.schema import Config, SamplerName
from pipeline.config.resolve import checked, compose


def test_the_hub_is_asked_for_only_what_is_not_here(tmp_path: Path):
    (tmp_path / "pairs.jsonl").write_text("")
    here = ["model=path", f"model.path={tmp_path}", f"filter.name=local-dir:{tmp_path}", "captions=jsonl"]
    here += [f"captions.path={tmp_path}/pairs.jsonl", "filter.pretrained=null"]
    assert checked(compose(here)).stays_local()
    for elsewhere in ("model.path=owner/name", "filter=clip", "captions.path=owner/name"):
        group = elsewhere.startswith("filter=")
        changed = [s for s in here if not (group and s.startswith("filter."))] + [elsewhere]
        assert not checked(compose(changed)).stays_local()


def test_measures_and_the_scoring_decoder_count_as_models(tmp_path: Path):
    (tmp_path / "pairs.jsonl").write_text("")
    config = checked(compose([f"captions.path={tmp_path}/pairs.jsonl"]))
    assert config.stays_local()
    config.model.scoring_decoder = "owner/taesd"
    assert not config.stays_local()
    config.model.scoring_decoder = None
    config.filter.measures = checked(
        compose(["filter.measures=[{kind:dino,model:owner/dino}]"])
    ).filter.measures
    assert not config.stays_local()


def test_a_configuration_returns_from_yaml_as_it_was():
    config = to_object(compose_config(["sweep=grid"], "/world/{}".format))
    schema = OmegaConf.structured(Config)
    schema.sweep = OmegaConf.structured(type(config.sweep))
    text = OmegaConf.to_yaml(OmegaConf.structured(config))
    assert to_object(OmegaConf.merge(schema, OmegaConf.create(text))) == config


def enums(schema: type) -> set[type[Enum]]:
    found = set()
    for entry in fields(schema):
        kind = get_type_hints(schema)[entry.name]
        if is_dataclass(kind):
            found |= enums(kind)
        elif isinstance(kind, type) and issubclass(kind, Enum):
            found.add(kind)
    return found


@pytest.mark.parametrize("kind", sorted(enums(Config) | enums(PairsConfig) | {SamplerName}, key=str))
def test_an_option_is_written_as_it_is_named(kind: type[Enum]):
    assert [member.name for member in kind] == [member.value for member in kind]


@pytest.mark.parametrize(
    ("settings", "mode"),
    [
        (["limit=null"], "auto"),
        (["limit=199"], "none"),
        (["limit=200"], "auto"),
        (["limit=10", "model.compile=default"], "default"),
        (["model.compile=none"], "none"),
    ],
)
def test_a_short_run_is_not_compiled(settings: list[str], mode: str):
    assert checked(compose(settings)).compile_mode() == mode


@pytest.mark.parametrize(
    ("settings", "pairs"),
    [
        (["model=sd15"], 4),
        (["model=sd15", "sweep=adaptive"], 32),
        (["sweep=adaptive"], 8),
        (["model=sd15", "sweep=adaptive", "sweep.unit_factor=2"], 8),
        (["model=sd15", "sweep=adaptive", "unit_pairs=5"], 5),
    ],
)
def test_an_adaptive_unit_has_more_pairs(settings: list[str], pairs: int):
    assert checked(compose(settings)).unit_pairs == pairs
