"""Two drivers that plan one output at once, or extend it, otherwise: one plan stands, whole, the other is refused."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.schema import Config
from pipeline.config import saved
from pipeline.dataset import integrity
from pipeline.planning.plan import LINES, Plan, PlanError, load, make_or_resume
from pipeline.tasks.task import task_of
from stages.records import CaptionPair
from stages.storage import plan_files
from stages.storage.store import Store
from tests import runs

PAIRS = [CaptionPair(f"a red ball {n}", "make it blue", f"a blue ball {n}") for n in range(12)]
BEFORE = [CaptionPair(f"a box {n}", "make it big", f"a big box {n}") for n in range(5)]
OTHERS = [CaptionPair(f"a cat {n}", "make it a dog", f"a dog {n}") for n in range(12)]
WRITES = 8
"""More than a driver does: three files of units, the manifest, the quarantined lines, the configuration."""


class Turns:
    """Two drivers' writes, one after the other in the order that is given, for as long as both have any."""

    def __init__(self, order: Sequence[int]) -> None:
        self.changed, self.order, self.over = threading.Condition(), deque(order), set[int]()

    @contextlib.contextmanager
    def of(self, driver: int) -> Iterator[None]:
        with self.changed:
            assert self.changed.wait_for(lambda: self.next() in (driver, None), 60)
            yield
            if self.order:
                self.order.popleft()
            self.changed.notify_all()

    def next(self) -> int | None:
        while self.order and self.order[0] in self.over:
            self.order.popleft()
        return self.order[0] if self.order else None

    def leave(self, driver: int) -> None:
        with self.changed:
            self.over.add(driver)
            self.changed.notify_all()


class Taking(Store):
    """A store whose files appear when it is its driver's turn."""

    def __init__(self, url: str, turns: Turns, driver: int) -> None:
        super().__init__(url)
        self.turns, self.driver = turns, driver

    @contextlib.contextmanager
    def open_write(self, name: str) -> Iterator[IO[bytes]]:
        written = super().open_write(name)
        stream = written.__enter__()
        try:
            yield stream
        except BaseException:
            if not written.__exit__(*sys.exc_info()):
                raise
            return
        with self.turns.of(self.driver):
            written.__exit__(None, None, None)

    def create_exclusive(self, name: str, data: bytes) -> bool:
        with self.turns.of(self.driver):
            return super().create_exclusive(name, data)


class Dying(Store):
    """A store whose driver is killed before a file appears, those before it being there."""

    left = 0

    @contextlib.contextmanager
    def open_write(self, name: str) -> Iterator[IO[bytes]]:
        with super().open_write(name) as stream:
            yield stream
            self.count()

    def create_exclusive(self, name: str, data: bytes) -> bool:
        self.count()
        return super().create_exclusive(name, data)

    def count(self) -> None:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1


class Drivers:
    """Two drivers of one output, their settings, and what each would find planned were it alone.

    They have other settings, or where the output is planned already other caption pairs after those of the plan.
    """

    def __init__(self, folder: Path, model: Path, clip: Path, extending: bool) -> None:
        self.out, self.extending = folder / "out", extending
        before = BEFORE if extending else []
        mine, yours = ((), ()) if extending else (("unit_pairs=2", "seed=0"), ("unit_pairs=3", "seed=1"))
        self.pairs = [[*before, *PAIRS], [*before, *OTHERS]]
        self.configs = [
            self._config(folder, model, clip, "mine", [*self.pairs[0], PAIRS[0]], *mine),
            self._config(folder, model, clip, "yours", [*self.pairs[1], OTHERS[1], OTHERS[2]], *yours),
        ]
        if extending:
            make_or_resume(Store(str(self.out)), task_of(self._config(folder, model, clip, "before", before)))

    def _config(
        self, folder: Path, model: Path, clip: Path, name: str, pairs: list[CaptionPair], *more
    ) -> Config:
        path = runs.write_pairs(folder / f"{name}.jsonl", pairs)
        source = ("captions=jsonl", f"captions.path={path}", f"out={self.out}", "extend=true")
        return runs.config(model, clip, "unit_pairs=2", *source, *more)

    def drive(self, store: Store, driver: int) -> Plan:
        """What ``pipeline.execution.run.run`` does before anything is generated."""
        plan = make_or_resume(store, task_of(self.configs[driver]))
        saved.write(store, self.configs[driver])
        return plan

    @property
    def is_planned(self) -> bool:
        """Whether either has made the output its own."""
        store = Store(str(self.out))
        return bool(load(store).extensions) if self.extending else store.exists(plan_files.MANIFEST)

    def whose(self) -> int:
        """Whose the output is, by all that is in it."""
        store = Store(str(self.out))
        plan, kept = load(store), saved.read(store)
        read = [pair for unit in plan_files.read_units(store, plan.units) for pair in unit.pairs]
        winner = self.pairs.index(read)
        config = self.configs[winner]
        assert plan.settings["seed"] == kept.seed == config.seed
        assert kept.unit_pairs == config.unit_pairs
        assert kept.captions.path == config.captions.path
        assert len(store.read(LINES).splitlines()) == plan.quarantined == winner + 1
        assert (PAIRS, OTHERS)[winner][winner].input in store.read(LINES).decode()
        assert list(integrity.in_plan(store, plan)) == []
        return winner


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_files, "UNITS_PER_FILE", 2)


@settings(max_examples=settings.default.max_examples // 3, deadline=None)
@given(st.lists(st.integers(0, 1), min_size=WRITES, max_size=2 * WRITES), st.booleans())
def test_one_of_two_plans_stands_and_the_other_is_refused(
    tmp_path_factory: pytest.TempPathFactory,
    sd1_folder: Path,
    clip_folder: Path,
    order: list[int],
    extending: bool,
):
    told: dict[int, Plan | BaseException] = {}

    def drive(driver: int) -> None:
        try:
            told[driver] = drivers.drive(Taking(str(drivers.out), turns, driver), driver)
        except BaseException as error:
            told[driver] = error
        finally:
            turns.leave(driver)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_files, "UNITS_PER_FILE", 2)
        drivers = Drivers(tmp_path_factory.mktemp("drivers"), sd1_folder, clip_folder, extending)
        turns = Turns(order)
        threads = [threading.Thread(target=drive, args=[driver]) for driver in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        winner = drivers.whose()
    assert told[winner] == load(Store(str(drivers.out)))
    lost = told[1 - winner]
    assert isinstance(lost, PlanError)
    assert "holds a run with other settings" in str(lost)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("after", range(6))
@pytest.mark.parametrize("extending", [False, True], ids=["planning", "extending"])
def test_a_kill_before_a_write_leaves_the_output_usable(
    tmp_path: Path, sd1_folder: Path, clip_folder: Path, extending: bool, after: int
):
    drivers = Drivers(tmp_path, sd1_folder, clip_folder, extending)
    dying = Dying(str(drivers.out))
    dying.left = after
    with pytest.raises(KeyboardInterrupt):
        drivers.drive(dying, 0)
    store = Store(str(drivers.out))
    assert drivers.is_planned == (after > 3)
    if drivers.is_planned:
        with pytest.raises(PlanError, match="holds a run with other settings"):
            drivers.drive(store, 1)
        drivers.drive(store, 0)
        assert drivers.whose() == 0
    else:
        drivers.drive(store, 1)
        assert drivers.whose() == 1
