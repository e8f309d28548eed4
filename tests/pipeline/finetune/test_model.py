from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from conf.config_errors import ConfigError
from pipeline.finetune.finetune_settings import Base, Lora
from pipeline.finetune.model import add_lora, load_base, on_gpu
from stages.writers.base import WriterError
from tests.llamas import save_llama


def test_weights_are_trained_in_full_precision(base: Path) -> None:
    loaded = load_base(Base(model=str(base)), Lora())
    assert (loaded.model.dtype, loaded.dtype) == (torch.float32, torch.float16)
    assert loaded.window == 128
    assert loaded.tokenizer.pad_token_id is not None


def test_a_tokenizer_without_padding_pads_with_its_end(base: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(base, tmp_path / "model")
    change(folder / "tokenizer_config.json", pad_token=None)
    tokenizer = load_base(Base(model=str(folder)), Lora()).tokenizer
    assert tokenizer.pad_token_id == tokenizer.eos_token_id


def test_a_tokenizer_without_an_end_is_refused(base: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(base, tmp_path / "model")
    change(folder / "tokenizer_config.json", eos_token=None)
    with pytest.raises(ConfigError, match="its tokenizer has no end token"):
        load_base(Base(model=str(folder)), Lora())


def test_damaged_weights_are_one_line(base: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(base, tmp_path / "model")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(WriterError, match=r"^writer\.model=.* does not load: [^\n]*$"):
        load_base(Base(model=str(folder)), Lora())


def test_pickled_weights_are_refused(base: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(base, tmp_path / "model")
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(WriterError, match="does not load: it has pickled weights only"):
        load_base(Base(model=str(folder)), Lora())


def test_the_cpu_is_used_if_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert on_gpu(Base())
    assert not on_gpu(Base(device="cpu"))


def test_lora_trains_its_updates_of_every_linear_layer(tmp_path: Path) -> None:
    loaded = load_base(Base(model=str(save_llama(tmp_path / "model", layers=1))), Lora(rank=2))
    linear = {name for name, part in loaded.model.named_modules() if isinstance(part, torch.nn.Linear)}
    model = add_lora(loaded.model, Lora(rank=2, alpha=4.0))
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert all("lora_" in name for name in trained)
    assert {name.removeprefix("base_model.model.").partition(".lora_")[0] for name in trained} == {
        name for name in linear if name != "lm_head"
    }


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
