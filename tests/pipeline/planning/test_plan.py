from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.planning.plan import MANIFEST, load, make_or_resume
from pipeline.tasks.task import task_of
from stages.records import CaptionPair
from stages.storage.store import Store, seal, unseal
from tests import runs
from tests.pipeline import outputs


@pytest.mark.parametrize(("too_long", "kept"), [("error", 1), ("truncate", 2)])
def test_long_captions_are_set_aside_or_kept(
    sd1_folder: Path, clip_folder: Path, tmp_path: Path, too_long: str, kept: int
) -> None:
    long = "a red ball on grass" + " and sand" * 20
    pairs = [CaptionPair("a cat", "a dog instead", "a dog"), CaptionPair(long, "blue", long + " blue")]
    path = runs.write_pairs(tmp_path / "pairs.jsonl", pairs)
    config = runs.config(
        sd1_folder,
        clip_folder,
        "captions=jsonl",
        f"captions.path={path}",
        f"edit.too_long={too_long}",
    )
    plan = make_or_resume(Store(str(tmp_path / "out")), task_of(config))
    assert (plan.pairs, plan.quarantined) == (kept, 2 - kept)
    assert plan.settings["edit.too_long"] == too_long


def test_changed_settings_are_listed_in_a_table_or_the_line(
    sd1_folder: Path, clip_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*more: str, pairs: list[CaptionPair]) -> list[str]:
        source = ("captions=jsonl", f"captions.path={runs.write_pairs(tmp_path / 'pairs.jsonl', pairs)}")
        given = [*runs.settings(sd1_folder, clip_folder), *source, f"out={tmp_path / 'out'}", *more]
        assert main(given) == 2
        return capsys.readouterr().err.splitlines()

    pairs = [
        CaptionPair("a cat", "a dog instead", "a dog"),
        CaptionPair("a tree", "in snow", "a tree in snow"),
    ]
    path = runs.write_pairs(tmp_path / "pairs.jsonl", pairs)
    make_or_resume(
        Store(str(tmp_path / "out")),
        task_of(
            runs.config(
                sd1_folder, clip_folder, "captions=jsonl", f"captions.path={path}", f"out={tmp_path / 'out'}"
            )
        ),
    )
    (line,) = refused("seed=1", pairs=pairs)
    assert "other settings (seed was 0, is 1): give the old ones" in line
    long = CaptionPair("a cat by a tree", "a dog by a very tall tree instead", "a dog by a tree")
    line, head, *rows = refused("seed=1", "sampler.steps=7", pairs=[long, pairs[1]])
    assert "other settings: give the old ones, which are in its run/config.yaml" in line
    starts = [head.index(name) for name in ("setting", "planned", "now")]
    cells = [[row[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)] for row in rows]
    assert [cell[0] for cell in cells] == ["caption pair 1", "sampler.steps", "seed"]
    assert cells[0][1] == "a cat / a dog instead / a dog / {}"
    assert cells[0][2].endswith("…")
    assert cells[2][1:] == ["0", "1"]


def test_blocked_words_are_part_of_the_settings(
    sd1_folder: Path, clip_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = [
        CaptionPair("a cat", "a dog instead", "a dog"),
        CaptionPair("a tree", "in snow", "a tree in snow"),
    ]
    source = ("captions=jsonl", f"captions.path={runs.write_pairs(tmp_path / 'pairs.jsonl', pairs)}")
    (tmp_path / "words.txt").write_text("SNOW\nice\n")
    given = (sd1_folder, clip_folder, *source, f"out={tmp_path / 'out'}")
    store = Store(str(tmp_path / "out"))
    plan = make_or_resume(
        store, task_of(runs.config(*given, f"captions.block_file={tmp_path / 'words.txt'}"))
    )
    assert (plan.pairs, plan.quarantined) == (1, 1)
    assert plan.settings["captions.block"] == ["ice", "snow"]
    assert "the instruction has 'snow'" in store.read("quarantine/lines.jsonl").decode()
    assert make_or_resume(store, task_of(runs.config(*given, "captions.block=[ice,Snow]"))) == plan
    assert main([*runs.settings(*given), "captions.block=[ice]"]) == 2
    assert "captions.block" in capsys.readouterr().err
    assert main([*runs.settings(*given), f"captions.block_file={tmp_path / 'none.txt'}"]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_a_run_whose_time_ends_while_planning_is_planned(
    sd1_folder: Path, clip_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = runs.write_pairs(tmp_path / "pairs.jsonl")
    source = ("captions=jsonl", f"captions.path={path}", f"out={tmp_path / 'out'}", "cluster.hours=1e-9")
    assert main(runs.settings(sd1_folder, clip_folder, *source)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "its time is over (cluster.hours=1e-09)" in line
    assert "the same command goes on" in line
    store = Store(str(tmp_path / "out"))
    assert load(store).pairs == len(runs.PAIRS)
    assert not store.exists("run/ray.log")


def planned_by_0_1(folder: Path) -> Store:
    """An output whose manifest has the format of version 0.1."""
    store, _ = outputs.planned(folder, 2)
    manifest = unseal(store.read(MANIFEST), MANIFEST)
    manifest["settings"]["format"] = 1
    store.write(MANIFEST, seal(manifest).encode())
    return store


@pytest.mark.parametrize(
    "command",
    [
        ("status", "{out}"),
        ("verify", "{out}"),
        ("repair", "{out}"),
        ("retry-failed", "{out}"),
        ("report", "{out}"),
        ("tune", "{out}"),
        ("replay", "{out}", "0123456789abcdef-00-0"),
        ("export", "{out}", "to={out}/export"),
        ("refilter", "{out}", "filter.clip_sim_dir=0.25", "out2={out}/chosen"),
        ("plan", "captions=miniworld", "sweep=adaptive", "sweep.prior_from={out}", "out={out}-next"),
        ("captions=miniworld", "out={out}"),
        ("captions=miniworld", "sweep=adaptive", "sweep.prior_from={out}", "out={out}-next"),
    ],
    ids=lambda command: command[0] if "=" not in command[0] else command[-2].partition("=")[0],
)
def test_an_output_planned_by_version_0_1_is_refused_by_name(
    tmp_path: Path, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    planned_by_0_1(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main([word.format(out=tmp_path) for word in command]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{tmp_path} was planned by PairForge 0.1" in line
    assert "give another out=…, or use PairForge 0.1" in line
    assert [path for path in sorted(tmp_path.rglob("*")) if path.is_file() and path not in before] == []
