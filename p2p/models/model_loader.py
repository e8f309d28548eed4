"""Loading of a model from a diffusers folder, or by its name on the Hugging Face hub."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
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
from p2p.models.compiler import choose_mode, compile_denoiser
from p2p.models.family_registry import find_family
from p2p.models.model_folder import PICKLES, local_folder
from p2p.models.quantization import FP8_PARTS, check_float8, quantized_t5, t5_parts, use_float8
from p2p.models.staging import stage_folder
from p2p.models.weights import check_memory, find_variant, weight_bytes, weighted_parts

COMPILE = ("none", "auto", "default", "reduce-overhead", "max-autotune")
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
    channels_last: bool | None = None,
    scoring_decoder: str | Path | None = None,
    family: str | None = None,
    max_sequence_length: int | None = None,
    variant: str | None = None,
    staging: str | Path | None = None,
    offload: bool = False,
    fp8: bool = False,
    text_encoder_bits: int | None = None,
) -> Editor:
    """Loads a model for editing.

    Args:
        model: a diffusers folder, or ``owner/name`` on the hub. An existing folder needs no network.
        device: "auto" is CUDA if available, else the CPU.
        dtype: "float32", "float16", "bfloat16" (or "fp32", "fp16", "bf16"), or "auto": on CUDA bf16, or fp16 where the
            GPU has no bf16; elsewhere fp32.
        revision: branch, tag or commit on the hub.
        compile: "none", "default", "reduce-overhead" (CUDA graphs for batches without injection, whose shapes are
            fixed), "max-autotune", or "auto": "default" on a GPU with Triton and a C compiler. A
            compiled denoiser is called with batches of one shape. It has one graph for batches without injection, one
            for the others, and a third for batches with LocalBlend. If it cannot be compiled it runs eagerly, and one
            line of the log says why.
        channels_last: whether weights of convolutions have the layout channels-last, which is faster on tensor cores.
            None is true on CUDA.
        scoring_decoder: folder or name on the hub of an ``AutoencoderTiny`` for the model's latents (such as TAESD). It
            decodes sweeps in a fraction of the time; ``Editor.decode`` still uses the model's own decoder.
        family: a plugin module on PYTHONPATH that loads the model, with the interface
            ``p2p.families.family.FamilyPlugin``. None is the built-in family of the folder's pipeline class.
        max_sequence_length: tokens of T5's window, for SD3 (256 by default) and FLUX (512); the setting of their
            pipelines in diffusers.
        variant: of the weights' files, such as "fp16" for ``*.fp16.safetensors``. None finds it if it is the only one.
        staging: a local folder. A model's folder is copied there first, once for all processes of the machine.
        offload: whether text encoders wait in the memory of the host while the denoiser works, and the denoiser there
            while they work if the GPU does not hold both.
        fp8: whether the linear layers of a transformer (SD3, FLUX) compute in float8, by torchao.
        text_encoder_bits: 8 or 4 for the weights of a T5 (SD3, FLUX), by bitsandbytes, which keeps it on the GPU.

    Raises:
        ModelError: ``compile`` is unknown, the model does not exist, its family is not supported, cannot be imported or
            does not take an option, it has no T5 with a window of another length, its weights are pickles, which are
            never loaded, or they do not fit into the memory of the GPU.
    """
    if compile not in COMPILE:
        raise ModelError(f"compile {compile!r} is unknown; there are {', '.join(COMPILE)}")
    target = _device(device)
    precision = _dtype(dtype)
    folder = local_folder(model, revision, whole=True, variant=variant)
    if staging is not None and Path(model).is_dir():
        folder = stage_folder(folder, Path(staging))
    module = find_family(folder, family)
    _check_weights(folder)
    chosen = variant or find_variant(folder)
    weights = precision or _default_dtype(target, module.HALF)
    wanted: dict[str, Any] = {
        "max_sequence_length": max_sequence_length,
        "variant": chosen,
        "offload": offload,
    }
    bits: dict[str, int] = {}
    if text_encoder_bits:
        if offload:
            raise ModelError("text_encoder_bits keeps text encoders on the GPU: remove it or offload")
        wanted["quantization"] = quantized_t5(folder, text_encoder_bits, target, weights)
        bits |= dict.fromkeys(t5_parts(folder), text_encoder_bits)
    # A U-Net is refused when it is there.
    if fp8 and "on_host" in inspect.signature(module.load).parameters:
        check_float8(target)
        wanted["on_host"] = FP8_PARTS
        bits |= dict.fromkeys(FP8_PARTS, 8)
    options = _family_options(folder, module.load, wanted)
    if target.type == "cuda":
        sizes = weight_bytes(folder, weights, chosen, bits)
        check_memory(sizes, torch.cuda.mem_get_info(target)[0], offload)
    try:
        with _no_progress_bars():
            loaded = module.load(folder, target, weights, **options)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{folder}: the model does not load: {error_line(error)}") from error
    decoder = None if scoring_decoder is None else load_scoring_decoder(scoring_decoder, loaded)
    if channels_last is None:
        channels_last = target.type == "cuda"
    if channels_last:
        for part in (loaded.network, loaded.decoder.vae):
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if target.type == "cuda":
        # It makes a plan for every number of rows, and which kernel it takes differs from run to run.
        torch.backends.cuda.enable_cudnn_sdp(False)
    if fp8:
        use_float8(loaded.network, target)
    mode = choose_mode(compile, target)
    if mode != "none":
        compile_denoiser(loaded, mode)
    return Editor(loaded, pad=mode != "none", scoring_decoder=decoder)


def _check_weights(folder: Path) -> None:
    """Raises ModelError unless every part of the pipeline with weights has them as safetensors."""
    for part in weighted_parts(folder):
        suffixes = {path.suffix for path in (folder / part).glob("*") if path.is_file()}
        if ".safetensors" in suffixes:
            continue
        if suffixes & PICKLES:
            raise ModelError(
                f"{folder / part}: pickled weights are never loaded; save the model as safetensors"
            )
        raise ModelError(f"{folder / part}: no weights; it needs a *.safetensors file")


def _family_options(folder: Path, load: Callable[..., Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Returns the options that are set. Raises ModelError for one that the family does not take."""
    options = {name: value for name, value in wanted.items() if value}
    takes = inspect.signature(load).parameters.keys()
    if "max_sequence_length" in options.keys() - takes:
        raise ModelError(f"{folder}: max_sequence_length is for SD3 and FLUX; remove it")
    if unknown := sorted(options.keys() - takes):
        raise ModelError(f"{folder}: its family does not take {', '.join(unknown)}; remove it")
    return options


def _device(device: str | torch.device) -> torch.device:
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(device)
    except RuntimeError as error:
        raise ModelError(f"device {device!r} is unknown; use auto, cpu or cuda") from error


def _default_dtype(device: torch.device, half: torch.dtype) -> torch.dtype:
    """Returns the precision of "auto"; ``half`` is the family's own."""
    if device.type != "cuda":
        return torch.float32
    return half if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


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
