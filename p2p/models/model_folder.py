"""Where a model lies, and of which family it is: all that can be told without its weights."""

from __future__ import annotations

import json
import re
from pathlib import Path

from huggingface_hub import snapshot_download

from conf.messages import error_line
from p2p.errors import ModelError
from p2p.families import FAMILIES

PICKLES = {".bin", ".ckpt", ".pt", ".pth", ".pkl"}
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def local_folder(model: str | Path, revision: str | None, whole: bool) -> Path:
    """The folder of a model, downloaded if it is a hub's: ``whole``, or its configs and tokenizer.

    Raises:
        ModelError: there is none.
    """
    folder = Path(model)
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise ModelError(
            f"{model}: a file, not a diffusers folder; convert it, with safetensors as its weights"
        )
    if not _HUB_NAME.fullmatch(str(model)):
        raise ModelError(f"{model}: no such folder; name a diffusers folder, or owner/name of the hub")
    try:
        if whole:
            # Seconds to import, for those alone who have a model to fetch.
            from diffusers import DiffusionPipeline

            return Path(
                DiffusionPipeline.download(
                    str(model), revision=revision, use_safetensors=True, safety_checker=None
                )
            )
        patterns = ["model_index.json", "tokenizer*/*", "text_encoder*/config.json"]
        return Path(snapshot_download(str(model), revision=revision, allow_patterns=patterns))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{model}: no such folder here, and not to be had from the hub: {error_line(error)}"
        ) from error


def family_name(folder: Path) -> str:
    """The name of the model's pipeline class, which its family goes by.

    Raises:
        ModelError: no diffusers folder, or of no supported family.
    """
    name = pipeline_class(folder)
    if name not in FAMILIES:
        raise ModelError(
            f"{folder}: {name} is not supported; {', '.join(FAMILIES)} are, "
            "and family= takes a module of your own (docs/extending.md)"
        )
    return name


def pipeline_class(folder: Path) -> str:
    """The name of the pipeline class of a diffusers folder. Raises ModelError if it is none."""
    index = folder / "model_index.json"
    if not index.is_file():
        pickled = next((path for path in sorted(folder.glob("*")) if path.suffix in PICKLES), None)
        if pickled is not None:
            raise ModelError(f"{pickled}: pickled weights are never loaded; convert to a safetensors folder")
        raise ModelError(f"{folder}: not a diffusers folder, it has no model_index.json")
    try:
        return str(json.loads(index.read_text(encoding="utf-8"))["_class_name"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{index}: damaged, it names no pipeline class ({error_line(error)})") from error
