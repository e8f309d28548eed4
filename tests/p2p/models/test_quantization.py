"""Weights of fewer bits: what is refused where they cannot work, and the memory that they need."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest
import torch
from diffusers import FluxPipeline

import p2p
from p2p.families.pipeline_loader import load_pipeline
from p2p.models.quantization import check_float8, quantized_t5, t5_parts
from p2p.models.weights import weight_bytes
from tests import models


def test_a_unet_is_refused(sd1_folder: Path) -> None:
    with pytest.raises(p2p.ModelError, match="fp8 is for transformers"):
        p2p.load(sd1_folder, device="cpu", fp8=True)


def test_a_device_without_float8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(p2p.ModelError, match=r"fp8 needs a GPU of compute capability 8.9 or more"):
        p2p.load(models.save_flux(tmp_path / "flux"), device="cpu", fp8=True)


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine answers as if it had a Hopper."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setitem(sys.modules, "torchao", None)
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(p2p.ModelError, match="fp8 needs torchao: pip install torchao"):
        check_float8(torch.device("cuda"))
    folder = models.save_flux(tmp_path / "flux")
    with pytest.raises(
        p2p.ModelError, match="text_encoder_bits needs bitsandbytes: pip install bitsandbytes"
    ):
        quantized_t5(folder, 8, torch.device("cuda"), torch.bfloat16)


@pytest.mark.parametrize(("bits", "kind"), [(8, "load_in_8bit"), (4, "load_in_4bit")])
def test_the_t5_alone_has_few_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: int, kind: str
) -> None:
    folder = models.save_flux(tmp_path / "flux")
    monkeypatch.setitem(sys.modules, "bitsandbytes", ModuleType("bitsandbytes"))
    sys.modules["bitsandbytes"].__spec__ = ModuleSpec("bitsandbytes", None)
    config = quantized_t5(folder, bits, torch.device("cuda"), torch.bfloat16)
    assert t5_parts(folder) == list(config.quant_mapping) == ["text_encoder_2"]
    assert getattr(config.quant_mapping["text_encoder_2"], kind)


def test_few_bits_are_refused_where_they_cannot_work(sd1_folder: Path, tmp_path: Path) -> None:
    folder = models.save_flux(tmp_path / "flux")
    for model, options, line in (
        (folder, {}, "text_encoder_bits needs a GPU"),
        (folder, {"offload": True}, "remove it or offload"),
        (sd1_folder, {}, "text_encoder_bits is for models with a T5"),
    ):
        with pytest.raises(p2p.ModelError, match=line):
            p2p.load(model, device="cpu", text_encoder_bits=4, **options)


def test_memory_is_counted_with_the_bits_of_linear_layers(tmp_path: Path) -> None:
    folder = models.save_flux(tmp_path / "flux")
    plain = weight_bytes(folder, torch.bfloat16)
    small = weight_bytes(folder, torch.bfloat16, bits={"transformer": 8, "text_encoder_2": 4})
    assert small["text_encoder"] == plain["text_encoder"]
    family = p2p.load(folder, device="cpu", dtype="bf16").family
    for part, module, share in (("transformer", family.network, 1 / 2), ("text_encoder_2", family.t5, 3 / 4)):
        layers = (layer for layer in module.modules() if isinstance(layer, torch.nn.Linear))
        assert small[part] == plain[part] - share * sum(layer.weight.nbytes for layer in layers)


def test_parts_on_the_host_stay_there(tmp_path: Path) -> None:
    """A device without memory stands in for a GPU."""
    folder = models.save_flux(tmp_path / "flux")
    pipeline = load_pipeline(
        FluxPipeline, folder, torch.device("meta"), torch.float32, on_host=("transformer",)
    )
    devices = {
        name: next(part.parameters()).device.type
        for name, part in pipeline.components.items()
        if isinstance(part, torch.nn.Module)
    }
    assert devices.pop("transformer") == "cpu"
    assert set(devices.values()) == {"meta"}
