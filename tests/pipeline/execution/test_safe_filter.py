"""The preset that keeps unsafe and ugly images out, with small classifiers of random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BitImageProcessor, ViTConfig, ViTForImageClassification

from filters import FilterError
from pipeline.config import resolve
from pipeline.planning.run_fingerprint import identify, settings_of
from stages.candidates.scoring import make_measure_specs
from stages.generate import Generate
from stages.records import Unit
from tests import runs

LABELS = {"nsfw": {0: "normal", 1: "nsfw"}, "beauty": {0: "aesthetic", 1: "not_aesthetic"}}


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Settings that name the two folders."""
    size = {"height": 28, "width": 28}
    folders = []
    for number, (name, labels) in enumerate(LABELS.items()):
        folder = tmp_path_factory.mktemp(name)
        torch.manual_seed(number)
        config = ViTConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            image_size=28,
            patch_size=14,
            # Larger than a model is begun with, so that images differ in what is said of them.
            initializer_range=0.5,
            id2label=labels,
            label2id={label: index for index, label in labels.items()},
        )
        ViTForImageClassification(config).save_pretrained(folder)
        BitImageProcessor(size={"shortest_edge": 28}, crop_size=size).save_pretrained(folder)
        folders.append(f"filter.measures.{number}.model={folder}")
    return tuple(folders)


def config(model: Path, clip: Path, *more: str):
    return resolve.checked(resolve.compose(["filter=safe", *runs.settings(model, clip, *more)]))


def test_neither_image_of_what_is_kept_is_called_unsafe_or_ugly(
    sd1_folder: Path, clip_folder: Path, classifiers: tuple[str, ...]
):
    wide = ("filter.measures.0.most=1", "filter.measures.1.most=1")
    everything = Generate(config(sd1_folder, clip_folder, *classifiers, *wide), "f" * 64)(
        Unit(0, runs.PAIRS[:3])
    )
    said = {
        name: np.median([c.measures[name] for c in everything.candidates])
        for name in ("nsfw", "not_aesthetic")
    }
    bounds = (f"filter.measures.0.most={said['nsfw']}", f"filter.measures.1.most={said['not_aesthetic']}")
    result = Generate(config(sd1_folder, clip_folder, *classifiers, *bounds), "f" * 64)(
        Unit(0, runs.PAIRS[:3])
    )
    assert {"nsfw", "not_aesthetic"} <= {c.reason for c in result.candidates}
    kept = [c for c in result.candidates if c.kept]
    assert kept
    for candidate in kept:
        assert all(candidate.measures[name] <= said[name] + 1e-6 for name in said)
    for sample in result.samples:
        assert {"nsfw", "not_aesthetic"} <= sample.metadata.keys()


def test_it_wants_to_be_told_which_models(classifiers: tuple[str, ...]):
    for given, place in ((), 0), (classifiers[:1], 1):
        chosen = resolve.checked(resolve.compose(["filter=safe", *given])).filter
        with pytest.raises(
            FilterError, match=rf"filter\.measures\.{place}: measure classifier needs a model"
        ):
            make_measure_specs(chosen)


def test_a_run_of_local_folders_asks_no_hub_and_pins_bytes(
    sd1_folder: Path, clip_folder: Path, classifiers: tuple[str, ...], tmp_path: Path
):
    path = runs.write_pairs(tmp_path / "pairs.jsonl")
    local = ("captions=jsonl", f"captions.path={path}")
    chosen = config(sd1_folder, clip_folder, *classifiers, *local)
    assert chosen.stays_local()
    told = settings_of(chosen, "", identify(chosen))["filter.measures"]
    assert [one["name"] for one in told] == ["nsfw", "not_aesthetic"]
    hub = "filter.measures.0.model=someone/nsfw"
    assert not config(sd1_folder, clip_folder, *classifiers, hub, *local).stays_local()
