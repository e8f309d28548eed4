"""The settings of ``captions=from_captions``: of a run that writes caption pairs, and of one that renders them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from conf.compose import ConfigError
from conf.pairs import PairsConfig, PairsFile
from conf.schema import Config
from pipeline.config import resolve as of_images
from pipeline.pairs import pairs_settings as of_captions

FOLDER = "pairs"
OPTION = "captions=from_captions"
OWN = "pairs."
"""A setting that begins so is the first half's alone."""
_WRITING = ("captions", "writer", "checks", "edits", "file", "limit")
_BOTH = ("seed", "strict", "extend", "log", "cluster", "tracker")
_PATH = "captions.path=pairs"


def wanted(settings: Sequence[str]) -> bool:
    return OPTION in settings


def split(settings: Sequence[str]) -> tuple[list[str], list[str]]:
    """Which settings are of the half that writes caption pairs, and which of the one that makes images of them."""
    writing: dict[str, str] = {}
    own: dict[str, str] = {}
    making: list[str] = []
    for setting in settings:
        key = setting.partition("=")[0]
        head = key.partition(".")[0]
        if key.startswith(OWN):
            own[key.removeprefix(OWN)] = setting.removeprefix(OWN)
        elif setting != OPTION:
            if head in _WRITING or head in _BOTH:
                writing[key] = setting
            if head not in _WRITING:
                making.append(setting)
    return list({**writing, **own}.values()), making


def configured(settings: Sequence[str]) -> tuple[PairsConfig, Config]:
    """Both halves' configurations. A caption may be as long as the image model takes, unless ``checks.model`` is given.

    Raises ConfigError.
    """
    writing, making = split(settings)
    keys = [setting.partition("=")[0] for setting in writing]
    if "out" in keys:
        raise ConfigError("pairs.out cannot be given: with captions=from_captions the pairs are in OUT/pairs")
    images = of_images.checked(of_images.compose([*making, "captions=file", _PATH]))
    pairs = of_captions.read(writing)
    pairs = replace(pairs, out=folder_of(images.out))
    if "checks.model" not in keys:
        model = images.model
        known = replace(pairs.checks, model=model.path, revision=model.revision, family=model.family)
        pairs = replace(pairs, checks=known)
    path = f"{pairs.out}/{name_of(pairs.file)}"
    return pairs, replace(images, captions=replace(images.captions, path=path))


def folder_of(out: str) -> str:
    """Where the caption pairs of that output are written."""
    return f"{out.rstrip('/')}/{FOLDER}"


def name_of(file: PairsFile) -> str:
    """The file of caption pairs in the output of a run that writes them."""
    return f"pairs.{file.value}"
