from __future__ import annotations

from pathlib import Path

import pytest

from conf.bounds import out_of_bounds
from conf.pairs import LOADED_WRITERS, WriterKind
from pipeline.config.resolve import read_pairs_settings
from tests.pipeline.pairs import small


def test_a_run_is_local_if_its_captions_and_models_are(tmp_path: Path):
    given = small.settings(tmp_path)
    assert read_pairs_settings(given).stays_local()
    for elsewhere in (
        ["captions.path=owner/name"],
        ["checks.model=owner/name"],
        ["checks.moderation=owner/name"],
        ["writer=transformers", "writer.model=owner/name"],
    ):
        assert not read_pairs_settings([*given, *elsewhere]).stays_local()
    (tmp_path / "model").mkdir()
    writer = ["writer=transformers", f"writer.model={tmp_path / 'model'}"]
    assert read_pairs_settings([*given, *writer]).stays_local()


def test_an_endpoint_s_model_is_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "name").mkdir()
    given = small.settings(tmp_path)
    for kind in ("openai", "transformers", "vllm"):
        config = read_pairs_settings([*given, f"writer={kind}", "writer.model=name"])
        is_path = WriterKind(kind) in LOADED_WRITERS
        assert config.writer.model == (str(tmp_path / "name") if is_path else "name")
        assert config.stays_local()


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("edits=0", "edits=0 must be 1 or more"),
        ("writer.top_p=1.5", "writer.top_p=1.5 must be over 0 and at most 1"),
        ("writer.temperature=-1", "writer.temperature=-1 must be 0 or more"),
        ("writer.timeout=0", "writer.timeout=0 must be over 0"),
        ("checks.near_duplicate=0", "checks.near_duplicate=0 must be over 0 and at most 1, or null"),
        ("checks.moderation_most=2", "checks.moderation_most=2 must be a probability, from 0 to 1"),
    ],
)
def test_settings_out_of_their_bounds_are_named(tmp_path: Path, setting: str, line: str):
    config = read_pairs_settings(small.settings(tmp_path))
    key, _, value = setting.partition("=")
    section, _, name = key.rpartition(".")
    setattr(getattr(config, section) if section else config, name, float(value) if "." in key else int(value))
    assert list(out_of_bounds(config)) == [line]
