"""Settings of small runs: the real pipeline on the small models of ``tests.models`` and ``tests.clips``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from conf.compose import compose_config, to_object
from conf.schema import Config
from pipeline.config import saved
from pipeline.dataset.pack import PackedFile, pack
from pipeline.planning.plan import Plan, make_or_resume
from pipeline.tasks.task import task_of
from stages.records import CaptionPair, Unit, UnitResult
from stages.storage.commits import read_commits
from stages.storage.plan_files import read_units
from stages.storage.store import Store
from stages.write import encode_part, summarise, write_unit

Stage = Callable[[Config, str], Callable[[Unit], UnitResult]]

# Random weights score at random: every candidate passes.
PERMISSIVE = tuple(
    f"filter.{name}=-1" for name in ("clip_sim_0", "clip_sim_1", "clip_sim_dir", "clip_sim_image")
)
SWEEP = ("sweep.seeds=2", "sweep.taus=[0.2,0.5,1.0]", "sampler.guidance=3.0")

PAIRS = (
    CaptionPair("a red ball on grass", "make the ball blue", "a blue ball on grass"),
    CaptionPair("a cat", "make it a dog", "a dog"),
    CaptionPair("a house at night", "add a boat", "a house and a boat at night"),
    CaptionPair("a photo of a tree", "make it a drawing", "a drawing of a tree"),
    CaptionPair("a green box on sand", "put it on snow", "a green box on snow", '{"url": "http://a"}'),
)


def settings(model: Path, clip: Path, *more: str) -> list[str]:
    """Command-line settings for these models; ``more`` come last."""
    sweep = () if any(one.startswith("sweep=") for one in more) else SWEEP
    models = ["model=path", f"model.path={model}", f"filter.name=local-dir:{clip}", "filter.pretrained=null"]
    return [*models, "shards=png", *PERMISSIVE, *sweep, "sampler.steps=4", "unit_pairs=2", *more]


def config(model: Path, clip: Path, *more: str) -> Config:
    return to_object(compose_config(settings(model, clip, *more), "/nowhere/{}".format))


def write_pairs(path: Path, pairs: Iterable[CaptionPair] = PAIRS) -> Path:
    """A JSONL of caption pairs."""
    lines = [
        json.dumps({"input": p.input, "edit": p.edit, "output": p.output, **json.loads(p.meta)})
        for p in pairs
    ]
    path.write_text("".join(line + "\n" for line in lines))
    return path


def committed(config: Config, stage: Stage) -> Plan:
    """The units of ``config``, made one after the other in this process as a worker makes them: no Ray, no packing."""
    store = Store(config.out)
    plan = make_or_resume(store, task_of(config))
    saved.write(store, config)
    make = stage(config, plan.model_fingerprint)
    for unit in read_units(store, plan.units):
        result = make(unit)
        write_unit(store, encode_part(result, config.shards.format, config.shards.quality), summarise(result))
    return plan


def packed(config: Config, stage: Stage) -> list[PackedFile]:
    """As ``committed``, and packed."""
    plan, store = committed(config, stage), Store(config.out)
    return pack(store, list(read_commits(store, range(plan.units))), config.shards.samples)


def pickled(model: Path, copy: Path) -> Path:
    """A copy of a model's folder whose U-Net is a pickle."""
    shutil.copytree(model, copy)
    for weights in (copy / "unet").glob("*.safetensors"):
        weights.unlink()
    torch.save({}, copy / "unet" / "diffusion_pytorch_model.bin")
    return copy
