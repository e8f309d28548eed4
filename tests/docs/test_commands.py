"""Every command in README and docs/ is valid: its settings compose, its sub-command exists."""

from __future__ import annotations

import json
import re
import shlex
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conf.setting_keys import known_keys
from pipeline.cli.main import main
from pipeline.cli.registry import COMMAND_LINE
from pipeline.config import resolve
from pipeline.config.resolve import read_pairs_settings
from pipeline.finetune.finetune_settings import read_settings as read_finetune
from stages.formats import tar
from stages.generate import Generate
from tests import runs
from tests.docs.snippets import ROOT
from tests.pipeline.pairs import small, test_pack_pairs

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CALL = re.compile(r"(?:[A-Z_]+=\S+ )*pairforge ")


def commands() -> Iterator[Any]:
    for document in PAGES:
        blocks = "\n".join(re.findall(r"```sh\n(.*?)```", document.read_text(), re.DOTALL))
        for line in blocks.replace("\\\n", " ").splitlines():
            if CALL.match(line):
                yield pytest.param(line, id=f"{document.name}: {line[:60]}")


@pytest.mark.parametrize("line", commands())
def test_every_command_is_valid(line: str):
    parts = shlex.split(CALL.sub("", line), comments=True)
    first, *more = [word for word in parts if "…" not in word] or ["--help"]
    if first == "-m":
        assert {setting.partition("=")[0] for setting in more} <= set(known_keys())
    elif first.startswith("config="):
        resolve.compose(more)
    elif "=" in first:
        resolve.compose([first, *more])
    elif first == "pairs":
        read_pairs_settings(more)
    elif first == "finetune":
        read_finetune(more)
    else:
        assert first in {*COMMAND_LINE.commands, "--help", "--version", "--cfg"}


@pytest.mark.parametrize("document", PAGES, ids=lambda path: path.name)
def test_links_resolve(document: Path):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_the_pages_have_many_commands():
    assert len(list(commands())) > 30


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, sd1_folder: Path, clip_folder: Path) -> Path:
    """A folder with a committed and packed run ``out``, and caption pairs ``pairs``."""
    folder = tmp_path_factory.mktemp("made")
    config = resolve.checked(resolve.compose(run_settings(folder, sd1_folder, clip_folder)))
    runs.packed(config, Generate)
    pairs, store, plan = test_pack_pairs.planned(folder)
    test_pack_pairs.write(pairs, store, plan, list(range(plan.units)))
    return folder


def run_settings(folder: Path, model: Path, clip: Path) -> list[str]:
    path = runs.write_pairs(folder / "pairs.jsonl")
    source = ("captions=jsonl", f"captions.path={path}", f"out={folder / 'out'}", "sampler.steps=2")
    return runs.settings(model, clip, *source)


def documented_keys() -> dict[str, set[str]]:
    """The keys in the table of docs/commands.md by command."""
    section = (
        (ROOT / "docs/commands.md").read_text().partition("## The keys of `--json`")[2].partition("\n## ")[0]
    )
    keys = defaultdict[str, set[str]](set)
    for line in section.splitlines():
        cells = line.split("|")
        if len(cells) == 5 and "`" in cells[1] and "caption pairs too:" not in cells[2]:
            for command in cells[2].split(","):
                keys[command.strip()] |= set(re.findall(r"`(\w+)`", cells[1]))
    return dict(keys)


def test_the_table_has_the_keys_of_json(
    made: Path, sd1_folder: Path, clip_folder: Path, base: Path, triples: Path, capsys, monkeypatch
):
    monkeypatch.chdir(made)
    settings = run_settings(made, sd1_folder, clip_folder)
    key = next(name for name, _ in tar.read_samples((made / "out/data/train-000000.tar").read_bytes()))
    calls = {
        "run": settings,
        "pairs": ["pairs", *small.settings(made)],
        "plan": ["plan", "probe=0", *settings],
        **{name: [name, "out"] for name in ("status", "verify", "report", "repair", "retry-failed", "tune")},
        "refilter": ["refilter", "out", "out2=second", "filter.clip_sim_dir=-0.5"],
        "replay": ["replay", "out", key],
        "export": ["export", "out", "to=set"],
        "attention": ["attention", "a cat", *settings[:5], "sampler.steps=1", "out=a.png"],
        "finetune": ["finetune", f"data={triples}", f"writer.model={base}", "out=w", "epochs=1", "limit=30"],
    }
    found = {}
    for name, call in calls.items():
        assert main([*call, "--json"]) == 0, name
        (line,) = capsys.readouterr().out.splitlines()
        found[name] = set(json.loads(line))
    assert found == documented_keys()
    assert found.keys() == {"run", *COMMAND_LINE.commands} - {"completion"}


def test_quiet_commands_print_nothing(made: Path, capsys, monkeypatch):
    monkeypatch.chdir(made)
    for name in ("status", "verify", "report", "repair", "retry-failed", "tune"):
        assert main([name, "out", "--quiet"]) == 0
    assert main(["export", "out", "to=quiet", "--quiet"]) == 0
    assert main(["refilter", "out", "out2=third", "filter.clip_sim_dir=-0.4", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
