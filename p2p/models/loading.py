"""Opening a model: a diffusers folder, or a name on the Hugging Face hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from safetensors import SafetensorError

from conf.messages import error_line
from p2p.editor import Editor
from p2p.errors import ModelError
from p2p.families import FAMILIES
from p2p.families.family_plugin import own_family
from p2p.families.scoring_decoder import load_tiny
from p2p.models.model_folder import PICKLES, family_name, local_folder

COMPILE = ("none", "default", "max-autotune")
_DTYPES = {
    "float32": torch.float32,
    "fp32": torch.float32,
    "float16": torch.float16,
    "fp16": torch.float16,
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
}


def load(
    model: str | Path,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    revision: str | None = None,
    compile: str = "none",
    channels_last: bool = False,
    scoring_decoder: str | Path | None = None,
    family: str | None = None,
) -> Editor:
    """Open a model for editing.

    Args:
        model: a diffusers folder, or ``owner/name`` on the hub. An existing folder never goes to the network.
        device: "auto" is CUDA if there is any, the CPU otherwise.
        dtype: "float32", "float16", "bfloat16" (or "fp32", "fp16", "bf16"), or "auto": half precision on
            CUDA, fp16 or for SD3 and FLUX bf16, and fp32 elsewhere.
        revision: branch, tag or commit on the hub.
        compile: "none", or "default" or "max-autotune", modes of ``torch.compile``. A compiled denoiser is called with
            batches of one shape, and has one graph for those in which nothing is injected and one for the others;
            a third where words are watched.
        channels_last: whether the weights of convolutions are laid out channels last, as tensor cores like them.
        scoring_decoder: an ``AutoencoderTiny`` made for the model's latents (TAESD and its kin), a folder or a name on
            the hub. Sweeps are decoded by it, in a fraction of the time; ``Editor.decode`` is the model's own.
        family: a module of one's own, on Python's path, that opens the model; ``p2p.families.family.OwnFamily`` says
            what it holds. None is the family that goes by the name of the folder's pipeline.

    Raises:
        ModelError: ``compile`` is unknown, there is no such model, its family is not supported or cannot be imported,
            or it has weights as pickles only, which are never loaded.
    """
    if compile not in COMPILE:
        raise ModelError(f"compile {compile!r} is unknown; there are {', '.join(COMPILE)}")
    place = _device(device)
    precision = _dtype(dtype)
    folder = local_folder(model, revision, whole=True)
    module = FAMILIES[family_name(folder)] if family is None else own_family(family, folder)
    _check_weights(folder)
    half = module.HALF if place.type == "cuda" else torch.float32
    try:
        with _no_progress_bars():
            opened = module.load(folder, place, precision or half)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{folder}: the model does not load: {error_line(error)}") from error
    small = None if scoring_decoder is None else load_tiny(scoring_decoder, opened)
    if channels_last:
        for part in (opened.network, opened.decoder.vae):
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if compile != "none":
        opened.network.compile(fullgraph=True, mode=compile)
    return Editor(opened, pad=compile != "none", scoring_decoder=small)


def _check_weights(folder: Path) -> None:
    """Every part of the denoising that has weights has them as safetensors."""
    for part in _weighted_parts(folder):
        suffixes = {path.suffix for path in (folder / part).glob("*") if path.is_file()}
        if ".safetensors" in suffixes:
            continue
        if suffixes & PICKLES:
            raise ModelError(
                f"{folder / part}: pickled weights are never loaded; save the model as safetensors"
            )
        raise ModelError(f"{folder / part}: no weights; it should hold a *.safetensors file")


def _weighted_parts(folder: Path) -> list[str]:
    index: dict[str, Any] = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    unused = ("scheduler", "tokenizer", "safety_checker", "feature_extractor", "image_encoder")
    return [
        name
        for name, value in index.items()
        if isinstance(value, list) and value[0] is not None and not name.startswith(unused)
    ]


def _device(device: str | torch.device) -> torch.device:
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(device)
    except RuntimeError as error:
        raise ModelError(f"device {device!r} is unknown; name auto, cpu or cuda") from error


def _dtype(dtype: str | torch.dtype) -> torch.dtype | None:
    """None for "auto"."""
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype == "auto":
        return None
    if dtype not in _DTYPES:
        raise ModelError(f"dtype {dtype!r} is unknown; there are auto, {', '.join(_DTYPES)}")
    return _DTYPES[dtype]


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Loading is short and its bars would stand between a caller's own lines."""
    libraries = (diffusers.utils.logging, transformers.utils.logging)
    shown = [library for library in libraries if library.is_progress_bar_enabled()]
    for library in shown:
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library in shown:
            library.enable_progress_bar()
