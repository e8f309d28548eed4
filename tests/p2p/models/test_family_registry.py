from __future__ import annotations

from pathlib import Path

import pytest

import p2p
from p2p.families import sd

WHOLE = "from p2p.families.sd import HALF, load\nfrom p2p.text.token_windows import clip_window as window\n"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on Python's path."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_module_outside_opens_the_model(sd1_folder: Path, path: Path) -> None:
    (path / "outside_whole.py").write_text(WHOLE)
    ask = {"taus": (0.5,), "steps": 2, "seed": 1}
    known = p2p.load(sd1_folder, device="cpu").sweep("a red ball", "a blue ball", **ask)
    own = p2p.load(sd1_folder, device="cpu", family="outside_whole").sweep("a red ball", "a blue ball", **ask)
    assert (own.edits == known.edits).all()
    prompts = p2p.load_tokenizer(sd1_folder, family="outside_whole")
    assert (prompts.count("a red ball"), prompts.limit) == (5, 20)


def test_the_pipeline_s_name_does_not_matter_to_it(sd1_folder: Path, path: Path) -> None:
    (path / "outside_name.py").write_text(WHOLE)
    renamed = path / "model"
    renamed.mkdir()
    for part in sd1_folder.iterdir():
        (renamed / part.name).symlink_to(part)
    index = (sd1_folder / "model_index.json").read_text()
    (renamed / "model_index.json").unlink()
    (renamed / "model_index.json").write_text(index.replace("StableDiffusionPipeline", "KandinskyPipeline"))
    with pytest.raises(p2p.ModelError, match=r"KandinskyPipeline is not supported.* family= takes a module"):
        p2p.load_tokenizer(renamed)
    assert p2p.load_tokenizer(renamed, family="outside_name").limit == 20


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be imported: No module named 'outside_bad'; is its folder on PYTHONPATH"),
        ("raise RuntimeError('no\\nluck')", "cannot be imported: no luck"),
        ("from p2p.families.sd import HALF, load", "'outside_bad' has no window; docs/extending.md"),
    ],
)
def test_a_module_that_will_not_do_is_named(
    sd1_folder: Path, path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, said: str
) -> None:
    monkeypatch.delitem(__import__("sys").modules, "outside_bad", raising=False)
    if text is not None:
        (path / "outside_bad.py").write_text(text)
    for opened in (p2p.load, p2p.load_tokenizer):
        with pytest.raises(p2p.ModelError, match=said):
            opened(sd1_folder, family="outside_bad")


def test_a_folder_that_is_none_is_told_of_first(path: Path) -> None:
    with pytest.raises(p2p.ModelError, match=r"it has no model_index\.json"):
        p2p.load_tokenizer(path, family=sd.__name__)
