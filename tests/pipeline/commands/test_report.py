from __future__ import annotations

import shutil
import threading
import time
import uuid
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.commands import report as report_command
from pipeline.config import saved
from pipeline.dataset.funnel import funnel_of, image_steps
from pipeline.dataset.pack import pack
from pipeline.planning.plan import load
from pipeline.report import page
from pipeline.report.gallery import Thumbnails, build_gallery
from pipeline.report.report_data import read_report_data
from pipeline.report.template import REPORT
from pipeline.tasks.image_task import ImageTask
from stages.storage.commits import read_commits
from stages.storage.heartbeat import keep_heartbeat
from stages.storage.store import Store
from tests.pipeline.report.outputs import HOSTILE, commit_units, output


def text(store: Store) -> str:
    return store.read(REPORT).decode()


def test_a_live_run_has_a_report_of_what_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    store, _ = output(str(tmp_path), done=4)
    assert main(["report", str(tmp_path)]) == 0
    assert "report/index.html" in capsys.readouterr().out
    assert "unfinished: 4 of 6 units" in text(store)


def test_watching_ends_with_the_run_and_its_last_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(report_command, "SECONDS_BETWEEN", 0.05)
    monkeypatch.setattr(report_command, "TIMES_AS_LONG", 0.0)
    store, results = output(str(tmp_path), done=3)
    began, pages = threading.Event(), []

    def work() -> None:
        with keep_heartbeat(store, lambda: 1.0):
            began.set()
            for result in results[3:]:
                while not store.exists(REPORT) or f"{len(pages) + 3} of 6 units" not in text(store):
                    time.sleep(0.02)
                pages.append(text(store))
                commit_units(store, [result])

    worker = threading.Thread(target=work)
    worker.start()
    began.wait()
    assert main(["report", str(tmp_path), "--watch"]) == 0
    worker.join()
    assert len(pages) == 3
    assert all('id="live"' in made for made in pages)
    assert "complete" in text(store)
    assert 'id="live"' not in text(store)
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / REPORT)]


def test_the_funnel_is_the_pipelines_own(tmp_path: Path):
    store, _ = output(str(tmp_path), done=4)
    read = read_report_data(store)
    funnel = funnel_of(load(store), read_commits(store, range(4)))
    assert read.funnel == funnel
    assert [count for _, count in image_steps(read.funnel)] == [
        funnel.read,
        funnel.pairs,
        funnel.candidates,
        funnel.samples,
        funnel.pairs_kept,
    ]
    assert read.scores.num_rows == funnel.candidates
    assert int(read.scores["kept"].to_numpy().sum()) == funnel.samples
    assert sum(count for _, count, _ in page.losses(funnel)) == funnel.candidates - funnel.samples


def test_packed_scores_say_what_the_parts_say(tmp_path: Path):
    store, _ = output(str(tmp_path), done=6)
    before = read_report_data(store).scores
    pack(store, list(read_commits(store, range(6))), 100)
    for name in store.list("run/parts"):
        if name.endswith(".parquet"):
            store.remove(name)
    assert read_report_data(store).scores.equals(before)


def test_an_object_store_has_a_report_as_well():
    store, _ = output(f"memory://{uuid.uuid4().hex}", done=3)
    page.write_report(store)
    assert "unfinished: 3 of 6 units" in text(store)


def test_a_run_without_a_commit_has_a_report(tmp_path: Path):
    store, _ = output(str(tmp_path), done=0)
    page.write_report(store)
    assert "unfinished: 0 of 6 units" in text(store)


def test_failures_and_bad_lines_are_listed_and_escaped(tmp_path: Path):
    store, results = output(str(tmp_path), done=6)
    page.write_report(store)
    made = text(store)
    for one in results:
        assert one.unit.pairs[1].input in made
    assert "not JSON" in made
    assert HOSTILE not in made
    assert "<script>window" not in made
    # Nothing is fetched: what stands in the page is all there is.
    assert 'src="http' not in made
    assert "@import" not in made


def test_pictures_stop_at_the_pages_share(tmp_path: Path):
    store, _ = output(str(tmp_path), done=6)
    read = read_report_data(store)
    assert len(build_gallery(store, read, Thumbnails()).cards["kept"]) == 6
    assert build_gallery(store, read, Thumbnails(budget=0)).cards["kept"] == []


def test_what_is_no_output_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["report", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_a_finished_run_outlives_its_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    store, _ = output(str(tmp_path), done=6)
    config, plan, commits = saved.read(store), load(store), list(read_commits(store, range(6)))
    funnel = ImageTask(config).finish(plan, store, commits)
    ImageTask(config).tell(funnel, None)
    assert "run/parts" not in capsys.readouterr().out
    names = ("contact-sheet.png", REPORT, "README.md", "run/pack.json")
    before = {name: store.read(name) for name in names}
    shutil.rmtree(tmp_path / "run/parts")
    assert ImageTask(config).finish(plan, store, commits) == funnel
    assert {name: store.read(name) for name in names} == before
    ImageTask(config).tell(funnel, None)
    assert "run/parts was deleted" in capsys.readouterr().out
    assert main(["report", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [page.NO_PICTURES, str(tmp_path / REPORT)]
    made = build_gallery(store, read_report_data(store), Thumbnails()).cards
    assert (made["kept"], made["strips"]) == ([], [])
    assert made["near"]
    assert {card["edited"] for card in made["near"]} == {None}
    assert "run/parts was deleted" in text(store)


def test_a_lost_part_is_named_with_the_command_to_repair_it(tmp_path: Path, capsys):
    output(str(tmp_path), done=6)
    part = next((tmp_path / "run/parts").glob("00000000-*.previews.tar"))
    part.unlink()
    assert main(["report", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{part} of unit 0 is missing" in line
    assert f"pairforge repair {tmp_path}" in line
