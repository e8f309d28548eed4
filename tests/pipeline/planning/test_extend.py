"""Caption pairs appended to the input: what is planned and committed stays, what is new becomes units of its own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from conf.schema import Config
from pipeline.dataset import integrity
from pipeline.dataset.pack import pack
from pipeline.planning.plan import Plan, PlanError, load, make_or_resume
from pipeline.tasks.task import task_of
from stages import write
from stages.records import CaptionPair
from stages.storage import plan_files
from stages.storage.commits import committed_units, read_commits
from stages.storage.store import Store
from tests import runs
from tests.stages.worker.poison_stage import Poisonable

PAIRS = [
    CaptionPair(f"a red ball {n}", "make it blue", f"a blue ball {n}", f'{{"n": {n}}}') for n in range(33)
]


class Job:
    """An output and its input, of which more and more is there."""

    def __init__(self, folder: Path, model: Path, clip: Path, unit_pairs: int = 4) -> None:
        self.folder, self.models, self.unit_pairs = folder, (model, clip), unit_pairs
        self.store = Store(str(folder / "out"))

    def config(self, count: int, *more: str, pairs: list[CaptionPair] = PAIRS) -> Config:
        path = runs.write_pairs(self.folder / "pairs.jsonl", pairs[:count])
        source = ("captions=jsonl", f"captions.path={path}", f"out={self.folder / 'out'}")
        return runs.config(*self.models, *source, f"unit_pairs={self.unit_pairs}", *more)

    def plan(self, count: int, *more: str) -> Plan:
        return make_or_resume(self.store, task_of(self.config(count, *more)))

    def finish(self, plan: Plan) -> None:
        """Commit what is not committed, and pack, three samples a shard."""
        config = self.config(len(PAIRS))
        stage = Poisonable(config, plan.model_fingerprint)
        for unit in sorted(set(range(plan.units)) - committed_units(self.store)):
            result = stage(plan_files.read_unit(self.store, unit))
            files = write.encode_part(result, config.shards.format, config.shards.quality)
            write.write_unit(self.store, files, write.summarise(result))
        pack(self.store, list(read_commits(self.store, range(plan.units))), 3)

    def shards(self) -> dict[str, str]:
        data = self.folder / "out/data"
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(data.iterdir())}

    def kept(self) -> set[Path]:
        return {p for p in (self.folder / "out/run").rglob("*") if p.parent.name in ("commits", "parts")}


@pytest.fixture
def job(tmp_path: Path, sd1_folder: Path, clip_folder: Path) -> Job:
    return Job(tmp_path, sd1_folder, clip_folder)


def test_an_extended_run_is_the_undisturbed_one(
    job: Job, tmp_path: Path, sd1_folder: Path, clip_folder: Path
):
    job.finish(job.plan(20))
    before, shards = {path: path.read_bytes() for path in job.kept()}, job.shards()
    plan = job.plan(30, "extend=true")
    assert (plan.units, plan.pairs) == (8, 30)
    job.finish(plan)
    (tmp_path / "whole").mkdir()
    whole = Job(tmp_path / "whole", sd1_folder, clip_folder)
    whole.finish(whole.plan(30))
    assert job.shards() == whole.shards()
    assert {path: path.read_bytes() for path in before} == before
    *full, last = shards
    assert {name: job.shards()[name] for name in full} == {name: shards[name] for name in full}
    assert job.shards()[last] != shards[last]


def test_units_are_never_cut_again(job: Job):
    job.plan(6)
    plan = job.plan(13, "extend=true")
    sizes = [len(unit.pairs) for unit in plan_files.read_units(job.store, plan.units)]
    assert sizes == [4, 2, 4, 3]
    plan = job.plan(33, "extend=true")
    read = list(plan_files.read_units(job.store, plan.units))
    assert [len(unit.pairs) for unit in read] == [*sizes, 4, 4, 4, 4, 4]
    assert [pair for unit in read for pair in unit.pairs] == PAIRS
    assert [unit.index for unit in read] == list(range(plan.units))
    assert load(job.store) == plan
    assert job.plan(33) == job.plan(33, "extend=true") == plan
    assert list(integrity.in_plan(job.store, plan)) == []


def test_appended_pairs_need_extend(job: Job):
    job.plan(6)
    with pytest.raises(
        PlanError, match=r"first 6 of these caption pairs, and 3 were appended: give extend=true"
    ):
        job.plan(9)
    assert load(job.store).pairs == 6


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (PAIRS[:3], "caption pair 4 was a red ball 3 / .*, is not there"),
        (PAIRS[1:9], "caption pair 1 was a red ball 0 / .*, is a red ball 1 / "),
        ([*PAIRS[:5], *PAIRS[6:9]], "caption pair 6 was a red ball 5 / .*, is a red ball 6 / "),
    ],
)
def test_a_changed_pair_is_refused_by_its_number(job: Job, pairs: list[CaptionPair], said: str):
    job.plan(6)
    with pytest.raises(PlanError, match=said):
        make_or_resume(job.store, task_of(job.config(99, "extend=true", pairs=pairs)))


def test_other_settings_are_refused_also_with_extend(job: Job):
    job.plan(6)
    with pytest.raises(PlanError, match="seed was 0, is 1"):
        job.plan(9, "extend=true", "seed=1")
    assert load(job.store).extensions == ()


def test_a_line_of_quarantine_is_there_once(job: Job):
    pairs = [*PAIRS[:6], PAIRS[0], PAIRS[6]]
    make_or_resume(job.store, task_of(job.config(6)))
    plan = make_or_resume(job.store, task_of(job.config(99, "extend=true", pairs=pairs)))
    assert (plan.pairs, plan.quarantined) == (7, 1)
    (line,) = job.store.read("quarantine/lines.jsonl").splitlines()
    assert json.loads(line)["line"] == 7


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", range(4))
def test_a_kill_before_a_write_leaves_an_old_or_a_new_plan(
    job: Job, monkeypatch: pytest.MonkeyPatch, after: int
):
    """The writes of an extension: two files of units, the quarantined lines, the record."""
    old = job.plan(6)
    monkeypatch.setattr(plan_files, "UNITS_PER_FILE", 2)
    real_replace, real_link, done = Store.open_write, Store.create_exclusive, []

    def writes(name):
        if len(done) == after:
            raise Killed
        done.append(name)

    def write_file(store, name, data):
        writes(name)
        with real_replace(store, name) as stream:
            stream.write(data)

    def create(store, name, data):
        writes(name)
        return real_link(store, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", write_file)
        patch.setattr(Store, "create_exclusive", create)
        if after < 3:
            with pytest.raises(Killed):
                job.plan(18, "extend=true")
            assert load(job.store) == old
            assert list(plan_files.read_units(job.store, old.units)) == [*plan_files.cut(PAIRS[:6], 4)]
        else:
            job.plan(18, "extend=true")
    plan = job.plan(18, "extend=true")
    read = plan_files.read_units(job.store, plan.units)
    assert [pair for unit in read for pair in unit.pairs] == PAIRS[:18]


def test_the_second_of_two_drivers_continues_the_first(job: Job, monkeypatch: pytest.MonkeyPatch):
    job.plan(6)
    real = plan_files.add_extension

    def beaten(store: Store, number: int, extension: plan_files.Extension) -> bool:
        monkeypatch.setattr(plan_files, "add_extension", real)
        assert job.plan(10, "extend=true").pairs == 10
        job.config(15)
        assert not real(store, number, extension)
        return False

    config = job.config(15, "extend=true")
    monkeypatch.setattr(plan_files, "add_extension", beaten)
    plan = make_or_resume(job.store, task_of(config))
    read = list(plan_files.read_units(job.store, plan.units))
    assert [len(unit.pairs) for unit in read] == [4, 2, 4, 4, 1]
    assert [pair for unit in read for pair in unit.pairs] == PAIRS[:15]


def test_an_extension_edited_by_hand_is_named(job: Job):
    job.plan(6)
    job.plan(9, "extend=true")
    name = "run/plan/extension-0001.json"
    job.store.write(name, job.store.read(name).replace(b'"pairs": 9', b'"pairs": 8'))
    with pytest.raises(ValueError, match=r"extension-0001\.json is not what was written"):
        load(job.store)


def test_an_unchanged_input_is_not_read_again(job: Job, monkeypatch: pytest.MonkeyPatch):
    plan = job.plan(6)
    monkeypatch.setattr("pipeline.planning.caption_input.read", lambda config: pytest.fail("it was read"))
    assert job.plan(6, "cluster.workers=2") == plan
