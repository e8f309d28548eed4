"""What ``pairforge refilter`` is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import MISSING

from conf.compose import ConfigError, changed
from conf.schema import Config, Filter
from pipeline.config import resolve, saved
from pipeline.config.command_settings import read_settings
from stages.storage.store import Store

RENDERED = ("name", "pretrained")
"""What the scores were made by: another CLIP has other scores, of images that are not all stored."""


@dataclass
class _Own:
    out2: str = MISSING
    duplicates: int | None = None
    generate: bool = False


@dataclass(frozen=True)
class Asked:
    """``old`` and ``new`` are the configurations before and after; ``new`` has ``out2`` for its output.

    ``duplicates``: bits of 192 in which both images of a sample may differ from those of an earlier caption pair's to
    be almost the same, None to let all be. With ``generate`` units that lack an image are made again.
    """

    source: Store
    target: Store
    old: Config
    new: Config
    duplicates: int | None = None
    generate: bool = False


def read(out: str, arguments: Sequence[str]) -> Asked:
    """Raises ConfigError for what cannot be, or cannot be without generation; StoreError."""
    own_settings = [
        setting for setting in arguments if setting.partition("=")[0] in _Own.__dataclass_fields__
    ]
    own: _Own = read_settings(_Own, own_settings, "refilter")
    given = [setting for setting in arguments if setting not in own_settings]
    source, target = Store(out), Store(own.out2)
    if _place(source) == _place(target):
        raise ConfigError(
            f"out2={own.out2} is the output that is read, which stays as it is: give another folder"
        )
    old = saved.read_image_config(source)
    new = resolve.checked(changed(replace(old, out=target.url), given, _ALLOWED, _why_not))
    if own.duplicates is not None and own.duplicates < 0:
        raise ConfigError(f"duplicates={own.duplicates} must be 0 or more")
    if own.duplicates is not None and own.generate:
        raise ConfigError(
            "duplicates goes by the images that are there: give generate=true first, and refilter its output"
        )
    return Asked(source, target, old, new, own.duplicates, own.generate)


_ALLOWED = (
    *(f"filter.{name}" for name in Filter.__dataclass_fields__ if name not in RENDERED),
    "shards.samples",
    "keep",
)


def _why_not(key: str) -> str:
    if key == "filter":
        return (
            "a whole filter may score otherwise: give its thresholds one by one, as filter.clip_sim_dir=0.25"
        )
    return (
        f"{key} needs generation: give it to a run with another out=…; refilter takes {', '.join(_ALLOWED)}"
    )


def _place(store: Store) -> str:
    return store.url.rstrip("/") if "://" in store.url else str(Path(store.url).resolve())
