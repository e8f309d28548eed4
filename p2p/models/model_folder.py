"""Folder of a model, downloaded from the Hugging Face hub if needed, and its pipeline class."""

from __future__ import annotations

import json
import re
from pathlib import Path

from conf.messages import error_line
from p2p.errors import ModelError

PICKLES = {".bin", ".ckpt", ".pt", ".pth", ".pkl"}
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def local_folder(model: str | Path, revision: str | None, whole: bool, variant: str | None = None) -> Path:
    """Finds the folder of a model. A hub's is downloaded, ``whole`` or only its configs and tokenizer.

    Several processes of a machine download a file once: the hub's client locks each file of its cache. ``variant`` is
    that of the weights.

    Raises:
        ModelError: there is no such model.
    """
    folder = Path(model)
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise ModelError(
            f"{model}: a file, not a diffusers folder; convert it to a folder with safetensors weights"
        )
    if not _HUB_NAME.fullmatch(str(model)):
        raise ModelError(f"{model}: no such folder; give a diffusers folder, or owner/name of the hub")
    try:
        if whole:
            # These take long to import, which local folders do not need.
            from diffusers import DiffusionPipeline

            return Path(
                DiffusionPipeline.download(
                    str(model),
                    revision=revision,
                    variant=variant,
                    use_safetensors=True,
                    safety_checker=None,
                )
            )
        from huggingface_hub import snapshot_download

        patterns = ["model_index.json", "tokenizer*/*", "*/config.json", "scheduler/*"]
        return Path(snapshot_download(str(model), revision=revision, allow_patterns=patterns))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{model}: no such folder, and not available from the hub: {error_line(error)}"
        ) from error


def pipeline_class(folder: Path) -> str:
    """Reads the name of the pipeline class of a diffusers folder. Raises ModelError if it is not a diffusers folder."""
    index = folder / "model_index.json"
    if not index.is_file():
        pickled = next((path for path in sorted(folder.glob("*")) if path.suffix in PICKLES), None)
        if pickled is not None:
            raise ModelError(f"{pickled}: pickled weights are never loaded; convert to a safetensors folder")
        raise ModelError(f"{folder}: not a diffusers folder: it has no model_index.json")
    try:
        return str(json.loads(index.read_text(encoding="utf-8"))["_class_name"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{index}: damaged: it names no pipeline class ({error_line(error)})") from error
