"""Settings of ``pairforge refilter``: the output to read, the output to write, and the new filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import MISSING

from conf.bounds import HASH_BITS, bounded
from conf.compose import changed, read_settings
from conf.config_errors import ConfigError
from conf.schema import Config, Filter
from pipeline.config import resolve, saved
from stages.storage.store import Store

CLIP_MODEL = ("name", "pretrained")
"""Another CLIP gives other scores, for which not all images are stored."""

ALLOWED = (
    *(f"filter.{name}" for name in Filter.__dataclass_fields__ if name not in CLIP_MODEL),
    "shards.samples",
    "keep",
)


@dataclass
class _CommandSettings:
    out2: str = MISSING
    duplicates: int | None = bounded(HASH_BITS, None)
    generate: bool = False


@dataclass(frozen=True)
class RefilterSettings:
    """``old`` and ``new`` are the configurations before and after. The output of ``new`` is ``target``.

    ``duplicates``: a sample is dropped if both its images differ in at most so many bits of 192 from those of an
    earlier caption pair; None keeps all. With ``generate``, units that lack an image are generated again.
    """

    source: Store
    target: Store
    old: Config
    new: Config
    duplicates: int | None = None
    generate: bool = False


def read(out: str, settings: Sequence[str]) -> RefilterSettings:
    """Read the settings of the command line. Raises ConfigError for a setting that needs generation; StoreError."""
    names = _CommandSettings.__dataclass_fields__
    own = [setting for setting in settings if setting.partition("=")[0] in names]
    command: _CommandSettings = read_settings(_CommandSettings, own, "refilter")
    source, target = Store(out), Store(command.out2)
    if _location(source) == _location(target):
        raise ConfigError(f"out2={command.out2} is the output that is read: give another folder")
    old = saved.read_image_config(source)
    others = [setting for setting in settings if setting not in own]
    new = resolve.checked(changed(replace(old, out=target.url), others, ALLOWED, _refuse))
    if command.duplicates is not None and command.generate:
        raise ConfigError(
            "duplicates compares stored images: first refilter with generate=true, then refilter that output"
        )
    return RefilterSettings(source, target, old, new, command.duplicates, command.generate)


def _refuse(key: str) -> str:
    if key == "filter":
        return "a whole filter may have another CLIP: give its thresholds one by one, as filter.clip_sim_dir=0.25"
    return f"{key} needs generation: give it to a run with another out=…; refilter takes {', '.join(ALLOWED)}"


def _location(store: Store) -> str:
    return store.url.rstrip("/") if "://" in store.url else str(Path(store.url).resolve())
