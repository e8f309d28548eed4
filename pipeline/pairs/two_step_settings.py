"""Splits the settings of ``captions=from_captions`` between its two steps, writing pairs and making images."""

from __future__ import annotations

from collections.abc import Sequence

from conf.config_errors import ConfigError
from conf.hydra_options import NO_OPTIONS, HydraOptions
from conf.pairs import PairsConfig, PairsFile
from conf.schema import Config
from pipeline.config import resolve
from stages.images.place import image_root

OPTION = "captions=from_captions"
PREFIX = "pairs."
"""Prefix of a setting of the first step alone."""
_WRITING = ("captions", "writer", "checks", "edits", "file", "limit")
_BOTH = ("seed", "strict", "max_failure_rate", "extend", "log", "cluster", "tracker", "hydra")


def split(settings: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the settings of the step that writes caption pairs, and those of the step that makes images."""
    writing: dict[str, str] = {}
    prefixed: dict[str, str] = {}
    making: list[str] = []
    for setting in settings:
        key = setting.partition("=")[0].lstrip("+~")
        head = key.partition(".")[0]
        if key.startswith(PREFIX):
            prefixed[key.removeprefix(PREFIX)] = setting.replace(PREFIX, "", 1)
        elif setting != OPTION:
            if head in _WRITING or head in _BOTH:
                writing[key] = setting
            if head not in _WRITING:
                making.append(setting)
    return list({**writing, **prefixed}.values()), making


def configured(settings: Sequence[str], options: HydraOptions = NO_OPTIONS) -> tuple[PairsConfig, Config]:
    """Return the configurations of both steps. The image model checks caption lengths unless ``checks.model`` is given.

    ``options.config_name`` and ``options.saved`` are those of the second step. Raises ConfigError.
    """
    writing, making = split(settings)
    keys = [setting.partition("=")[0] for setting in writing]
    if "out" in keys:
        raise ConfigError("pairs.out cannot be given: captions=from_captions writes the pairs to OUT/pairs")
    images = resolve.checked(
        resolve.compose([*making, "captions=file", "captions.path=pairs"], options=options)
    )
    pairs = resolve.read_pairs_settings(writing, HydraOptions(config_dir=options.config_dir))
    pairs.out = folder_of(images.out)
    if "checks.model" not in keys:
        checks, model = pairs.checks, images.model
        checks.model, checks.revision, checks.family = model.path, model.revision, model.family
    images.captions.path = f"{pairs.out}/{name_of(pairs.file)}"
    images.captions.images = image_root(pairs.captions, pairs.out)
    return pairs, images


def folder_of(out: str) -> str:
    """The output of the first step of the output ``out``."""
    return f"{out.rstrip('/')}/pairs"


def name_of(file: PairsFile) -> str:
    """The name of the file of caption pairs."""
    return f"pairs.{file.value}"
