from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from conf.schema import OPTIONAL
from pipeline.planning.run_fingerprint import Models, difference, settings_of
from tests import runs

MODELS = Models(generator="a" * 64, clip="b" * 64)


def settings(*more: str) -> dict[str, object]:
    return settings_of(runs.config(Path("/m"), Path("/c"), *more), "c" * 64, MODELS)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("edit.method=sdedit", "edit.method was 'p2p', is 'sdedit'"),
        ("edit.self_gain=0.7", "edit.self_gain was 0.5, is 0.7"),
        ("sampler.guidance_interval=[0.3,5]", "sampler.guidance_interval was None, is [0.3, 5.0]"),
        ("seed=3", "seed was 0, is 3"),
        ("model.dtype=bf16", "model.dtype was 'auto', is 'bf16'"),
        ("cluster.batch_rows=8", "cluster.batch_rows was 32, is 8"),
        ("model.compile=max-autotune", "model.compile was 'auto', is 'max-autotune'"),
        ("model.channels_last=true", "model.channels_last was None, is True"),
        ("model.tf32=false", "model.tf32 was True, is False"),
        ("model.max_sequence_length=99", "model.max_sequence_length was None, is 99"),
        ("edit.self_max_size=0.25", "edit.self_max_size was None, is 0.25"),
        ("sampler.negative_prompt=ugly", "sampler.negative_prompt was None, is 'ugly'"),
        ("sampler.spacing=leading", "sampler.spacing was None, is 'leading'"),
    ],
)
def test_what_changes_results_changes_the_fingerprint(setting: str, said: str):
    assert difference(settings(), settings(setting)) == [said]


def test_optional_settings_count_only_where_they_are_set():
    """A plan of a run without them is what it was before there were any."""
    assert not {f"{group}.{name}" for group, names in OPTIONAL.items() for name in names} & settings().keys()


def test_the_scoring_decoder_counts_by_what_it_holds():
    config = runs.config(Path("/m"), Path("/c"))
    small = settings_of(config, "c" * 64, replace(MODELS, scoring_decoder="d" * 64))
    assert difference(settings(), small) == [f"model.scoring_decoder was '', is '{'d' * 64}'"]


@pytest.mark.parametrize(
    "setting",
    ["cluster.threads=8", "cluster.unit_seconds=9", "out=elsewhere", "sheet.pairs=0", "strict=true"],
)
def test_what_does_not_does_not(setting: str):
    assert difference(settings(), settings(setting)) == []
