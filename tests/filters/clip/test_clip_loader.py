from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from open_clip import factory, pretrained
from safetensors.torch import load_file, save_file

import filters
from filters import FilterError

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture
def copied(clip_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clip_folder, tmp_path / "clip"))


@pytest.fixture
def built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that open_clip knows by the name "ViT-tiny", and its weights: a file."""
    (tmp_path / "ViT-tiny.json").write_text(json.dumps(TINY))
    monkeypatch.setattr(factory, "_MODEL_CONFIG_PATHS", [*factory._MODEL_CONFIG_PATHS, tmp_path])
    monkeypatch.setattr(factory, "_MODEL_CONFIGS", {})
    factory._rescan_model_configs()
    torch.manual_seed(0)
    weights = tmp_path / "weights.safetensors"
    save_file(dict(open_clip.create_model("ViT-tiny").state_dict()), weights)
    return weights


def scores(clip: filters.Clip) -> np.ndarray:
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    return clip.score(images[:2], images[2:], ["a cat", "a red ball"], ["a dog", "a blue ball"]).clip_sim_0


def test_a_built_in_name_takes_weights_from_a_file(built_in: Path) -> None:
    clip = filters.load_clip("ViT-tiny", str(built_in), device="cpu")
    model, _, transform = open_clip.create_model_and_transforms("ViT-tiny", str(built_in))
    assert str(clip.transform) == str(transform)
    assert all(torch.equal(a, b) for a, b in zip(clip.model.parameters(), model.parameters(), strict=True))
    assert not clip.model.training
    assert np.isfinite(scores(clip)).all()


def test_a_tag_brings_its_own_activation_and_normalisation(built_in: Path, monkeypatch) -> None:
    tag = {"file": str(built_in), "hf_hub": "somebody/tiny/", "quick_gelu": True, "mean": (0.1, 0.2, 0.3)}
    monkeypatch.setitem(pretrained._PRETRAINED, "ViT-tiny", {"quick": tag})
    clip = filters.load_clip("ViT-tiny", "quick", device="cpu")
    assert clip.transform.transforms[-1].mean == (0.1, 0.2, 0.3)
    quick = [module for module in clip.model.modules() if isinstance(module, open_clip.model.QuickGELU)]
    assert len(quick) == 2


def test_every_published_tag_of_openai_has_its_activation() -> None:
    assert pretrained.get_pretrained_cfg("ViT-L-14", "openai")["quick_gelu"]


@pytest.mark.parametrize(
    "tag", [{"url": "https://example.org/w.pt"}, {"hf_hub": "a/b/", "file": "weights.bin"}]
)
def test_a_tag_whose_weights_are_pickled_is_refused(built_in: Path, monkeypatch, tag: dict[str, str]) -> None:
    monkeypatch.setitem(pretrained._PRETRAINED, "ViT-tiny", {"old": tag})
    with pytest.raises(FilterError, match=r"pickle.*choose another tag"):
        filters.load_clip("ViT-tiny", "old", device="cpu")


def test_a_file_of_weights_must_be_safetensors(built_in: Path, tmp_path: Path) -> None:
    pickled = tmp_path / "weights.pt"
    torch.save(load_file(built_in), pickled)
    with pytest.raises(FilterError, match=r"weights\.pt may be a pickle, which is never loaded: convert it"):
        filters.load_clip("ViT-tiny", str(pickled))


def test_a_folder_without_its_parts_is_no_model(copied: Path) -> None:
    def refuse(message: str) -> None:
        with pytest.raises(FilterError, match=message) as raised:
            filters.load_clip(f"local-dir:{copied}", device="cpu")
        assert "\n" not in str(raised.value)

    weights, config = copied / "open_clip_model.safetensors", copied / "open_clip_config.json"
    tensors = load_file(weights)
    weights.unlink()
    refuse("has no open_clip_model.safetensors: the weights are missing")
    torch.save(tensors, copied / "open_clip_pytorch_model.bin")
    refuse("has open_clip_pytorch_model.bin, which may be a pickle, but no open_clip_model.safetensors")
    weights.write_bytes(b"not safetensors at all")
    refuse("cannot be loaded")
    tensors["text_projection"] = tensors["text_projection"][:, :3].contiguous()
    save_file(tensors, weights)
    refuse("cannot be loaded: .*text_projection")
    text = config.read_text()
    model = json.loads(text)["model_cfg"]
    model["text_cfg"]["hf_model_name"] = "somebody/their-text-encoder"
    config.write_text(json.dumps({"model_cfg": model}))
    refuse("that the hub would define .somebody/their-text-encoder.")
    config.write_text("{}")
    refuse("has no model_cfg")
    config.write_text("{")
    refuse("open_clip_config.json is not JSON")
    config.unlink()
    refuse("has no open_clip_config.json: it is not an open_clip model")


def test_a_folder_without_its_tokenizer_is_an_error(copied: Path) -> None:
    for path in copied.iterdir():
        if not path.name.startswith("open_clip"):
            path.unlink()
    with pytest.raises(FilterError, match="lacks its tokenizer, whose files belong beside the weights: "):
        filters.load_clip(f"local-dir:{copied}", device="cpu")


@pytest.mark.parametrize("device", ["gpu", "cuda:77"])
def test_a_missing_device_is_an_error_of_one_line(clip_folder: Path, device: str) -> None:
    with pytest.raises(
        FilterError, match=f"there is no device '{device}' here, give auto or cpu: "
    ) as raised:
        filters.load_clip(f"local-dir:{clip_folder}", device=device)
    assert "\n" not in str(raised.value)


def test_a_batch_size_below_one_is_an_error(clip_folder: Path) -> None:
    with pytest.raises(FilterError, match="batch_size is 0: give 1 or more"):
        filters.load_clip(f"local-dir:{clip_folder}", device="cpu", batch_size=0)


def test_the_same_clip_in_float16_scores_nearly_the_same(copied: Path) -> None:
    exact = scores(filters.load_clip(f"local-dir:{copied}", device="cpu"))
    weights = copied / "open_clip_model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(weights).items()}, weights)
    clip = filters.load_clip(f"local-dir:{copied}", device="cpu")
    assert next(clip.model.parameters()).dtype == torch.float32
    np.testing.assert_allclose(scores(clip), exact, atol=0.02)
