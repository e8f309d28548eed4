"""Loading of a model from a diffusers folder, or by its name on the Hugging Face hub."""

from __future__ import annotations

import inspect
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
from p2p.families.scoring_decoder import load_scoring_decoder
from p2p.models.family_registry import find_family
from p2p.models.model_folder import PICKLES, local_folder

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
    max_sequence_length: int | None = None,
) -> Editor:
    """Loads a model for editing.

    Args:
        model: a diffusers folder, or ``owner/name`` on the hub. An existing folder needs no network.
        device: "auto" is CUDA if available, else the CPU.
        dtype: "float32", "float16", "bfloat16" (or "fp32", "fp16", "bf16"), or "auto": on CUDA bf16 for SD3 and FLUX
            and fp16 for other models, elsewhere fp32.
        revision: branch, tag or commit on the hub.
        compile: "none", or a mode of ``torch.compile``: "default" or "max-autotune". A compiled denoiser is called with
            batches of one shape. It has one graph for batches without injection, one for the others, and a third for
            batches with LocalBlend.
        channels_last: whether weights of convolutions have the layout channels-last, which is faster on tensor cores.
        scoring_decoder: folder or name on the hub of an ``AutoencoderTiny`` for the model's latents (such as TAESD). It
            decodes sweeps in a fraction of the time; ``Editor.decode`` still uses the model's own decoder.
        family: a plugin module on PYTHONPATH that loads the model, with the interface
            ``p2p.families.family.FamilyPlugin``. None is the built-in family of the folder's pipeline class.
        max_sequence_length: tokens of T5's window, for SD3 (256 by default) and FLUX (512); the setting of their
            pipelines in diffusers.

    Raises:
        ModelError: ``compile`` is unknown, the model does not exist, its family is not supported or cannot be imported,
            it has no T5 with a window of another length, or its weights are pickles, which are never loaded.
    """
    if compile not in COMPILE:
        raise ModelError(f"compile {compile!r} is unknown; there are {', '.join(COMPILE)}")
    target = _device(device)
    precision = _dtype(dtype)
    folder = local_folder(model, revision, whole=True)
    module = find_family(folder, family)
    _check_weights(folder)
    options = {} if max_sequence_length is None else {"max_sequence_length": max_sequence_length}
    if not options.keys() <= inspect.signature(module.load).parameters.keys():
        raise ModelError(f"{folder}: max_sequence_length is for SD3 and FLUX; remove it")
    half = module.HALF if target.type == "cuda" else torch.float32
    try:
        with _no_progress_bars():
            loaded = module.load(folder, target, precision or half, **options)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{folder}: the model does not load: {error_line(error)}") from error
    decoder = None if scoring_decoder is None else load_scoring_decoder(scoring_decoder, loaded)
    if channels_last:
        for part in (loaded.network, loaded.decoder.vae):
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if compile != "none":
        loaded.network.compile(fullgraph=True, mode=compile)
    return Editor(loaded, pad=compile != "none", scoring_decoder=decoder)


def _check_weights(folder: Path) -> None:
    """Raises ModelError unless every part of the pipeline with weights has them as safetensors."""
    for part in _weighted_parts(folder):
        suffixes = {path.suffix for path in (folder / part).glob("*") if path.is_file()}
        if ".safetensors" in suffixes:
            continue
        if suffixes & PICKLES:
            raise ModelError(
                f"{folder / part}: pickled weights are never loaded; save the model as safetensors"
            )
        raise ModelError(f"{folder / part}: no weights; it needs a *.safetensors file")


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
        raise ModelError(f"device {device!r} is unknown; use auto, cpu or cuda") from error


def _dtype(dtype: str | torch.dtype) -> torch.dtype | None:
    """Reads a precision; None stands for "auto". Raises ModelError for an unknown name."""
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype == "auto":
        return None
    if dtype not in _DTYPES:
        raise ModelError(f"dtype {dtype!r} is unknown; there are auto, {', '.join(_DTYPES)}")
    return _DTYPES[dtype]


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Hides the progress bars of loading, which is short, from the caller's output."""
    libraries = (diffusers.utils.logging, transformers.utils.logging)
    enabled = [library for library in libraries if library.is_progress_bar_enabled()]
    for library in enabled:
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library in enabled:
            library.enable_progress_bar()
