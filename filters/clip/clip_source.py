"""Finds the files of a CLIP model and checks them before anything large is read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conf.messages import suggest_name
from filters.errors import FilterError
from filters.hub import holds_weights, hub_answers, is_cached, use_cache_alone

LOCAL_DIR = "local-dir:"
_CONFIG = "open_clip_config.json"
_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")


@dataclass(frozen=True)
class ClipSource:
    """A CLIP that exists: the `folder` of a local-dir, or a built-in `name` with a local `weights` file or a `tag`.

    `tag` is open_clip's record of published weights, or empty.
    """

    name: str
    folder: Path | None
    weights: Path | None
    tag: dict[str, Any]


def find_clip(name: str, pretrained: str | None) -> ClipSource:
    """Finds the model. Fetches nothing.

    Raises:
        FilterError: no such model, folder, tag or file, or weights that are not safetensors.
    """
    if name.startswith(LOCAL_DIR):
        folder = Path(name.removeprefix(LOCAL_DIR))
        return ClipSource(name, folder, _find_weights(folder), {})
    return _find_published(name, pretrained)


def check_hub(name: str, pretrained: str | None) -> None:
    """Checks that published weights are in the hub's cache, or that the hub answers within two seconds.

    If it does not answer, this process and those that it starts later use the cache alone.

    Raises:
        FilterError: the weights are not on this machine, and the hub does not answer.
    """
    if name.startswith(LOCAL_DIR) or not pretrained or Path(pretrained).is_file() or hub_answers():
        return
    # Without any weights, open_clip, which takes seconds to import, need not say where these would be.
    tag = find_clip(name, pretrained).tag if holds_weights() else {}
    repository, _, file = tag.get("hf_hub", "").rpartition("/")
    files = (file, Path(file).with_suffix(".safetensors").name) if file else _WEIGHTS
    if not repository or not is_cached(repository, files):
        raise FilterError(
            f"filter.name={name} ({pretrained}) is not on this machine, and the hub does not answer: connect to the "
            f"network once, or give filter.name={LOCAL_DIR}FOLDER, an open_clip model on this machine"
        )
    use_cache_alone()


def _find_published(name: str, pretrained: str | None) -> ClipSource:
    # Imported here, because open_clip takes seconds and a local-dir does not need it.
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

    if name not in open_clip.list_models():
        raise FilterError(
            f"no CLIP is called {name!r}{suggest_name(name, open_clip.list_models(), most=3)}: "
            f"give a model name of open_clip, or {LOCAL_DIR}PATH"
        )
    tags = list_pretrained_tags_by_model(name)
    if not pretrained:
        raise FilterError(
            f"{name} needs pretrained: a safetensors file, or one of {', '.join(tags) or 'no tags'}"
        )
    tag = get_pretrained_cfg(name, pretrained)
    if tag:
        if not tag.get("hf_hub"):
            raise FilterError(f"{name}'s {pretrained!r} is published as a pickle only: choose another tag")
        return ClipSource(name, None, None, tag)
    if not Path(pretrained).is_file():
        raise FilterError(
            f"{name} has no weights {pretrained!r}{suggest_name(pretrained, tags, most=3)}: "
            f"it is no file, nor one of {', '.join(tags) or 'no tags'}"
        )
    return ClipSource(name, None, _check_suffix(Path(pretrained)), {})


def _find_weights(folder: Path) -> Path:
    if not folder.is_dir():
        raise FilterError(f"{folder}: no such folder; {LOCAL_DIR}PATH names a folder that holds {_CONFIG}")
    config = folder / _CONFIG
    if not config.is_file():
        raise FilterError(f"{folder} has no {_CONFIG}: it is not an open_clip model")
    try:
        content = json.loads(config.read_bytes())
    except ValueError as error:
        raise FilterError(f"{config} is not JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("model_cfg"), dict):
        raise FilterError(f"{config} has no model_cfg: it is not open_clip's configuration")
    text_model = content["model_cfg"].get("text_cfg", {}).get("hf_model_name")
    if text_model and not Path(text_model).is_dir():
        raise FilterError(
            f"{folder} has a text encoder that the hub would define ({text_model}): name a folder instead"
        )
    for name in _WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    others = sorted(path.name for path in folder.iterdir() if path.suffix in {".bin", ".pt", ".pth", ".ckpt"})
    if others:
        raise FilterError(
            f"{folder} has {others[0]}, which may be a pickle, but no {_WEIGHTS[0]}: convert it"
        )
    raise FilterError(f"{folder} has no {_WEIGHTS[0]}: the weights are missing")


def _check_suffix(weights: Path) -> Path:
    if weights.suffix != ".safetensors":
        raise FilterError(f"{weights} may be a pickle, which is never loaded: convert it to .safetensors")
    return weights
