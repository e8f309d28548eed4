"""A store that fails at a tenth of its calls: a run by the command into it, with the bytes of a local one."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.storage.store import Store
from tests import s3
from tests.fire import fire
from tests.fire.fire import Fire

PAIRS = 60


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_store_that_errs_at_a_tenth_of_its_calls_loses_nothing(tmp_path: Path):
    faults = s3.Faults(0.1)
    with s3.served(faults) as bucket:
        run = Fire(tmp_path / "run", fire.pairs(PAIRS), *fire.FAKE, "cluster.workers=1", url=f"{bucket}/set")
        expected = fire.undisturbed(fire.checked(*run.settings, f"out={tmp_path / 'expected'}"))
        assert run.run(600) == 0, run.said()
        store = Store(f"{bucket}/set")
        names = [name for folder in ("data", "scores") for name in store.list(folder)]
        assert names == sorted(fire.digests(expected))
        assert all(store.read(name) == (expected / name).read_bytes() for name in names)
        assert len(store.list("run/commits")) == PAIRS / 2
    # Five calls a unit, and as many to begin and to end.
    assert faults.count > PAIRS / 5
