from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from conf.running import Cluster, ClusterKind, Sheet, Tracker, TrackerKind
from conf.setting_keys import options
from pipeline.config import resolve
from pipeline.planning.run_fingerprint import Models, settings_of
from pipeline.tasks.pair_task import PairTask
from tests.pipeline.pairs import small

BOTH = [
    "cluster=ray",
    "cluster.address=auto",
    "cluster.workers=3",
    "cluster.gpus_per_worker=0.5",
    "cluster.threads=2",
    "cluster.unit_seconds=10",
    "cluster.wait_seconds=10",
    "cluster.hours=1",
    "cluster.price_per_gpu_hour=2",
    "tracker=wandb",
    "tracker.project=other",
    "tracker.folder=other",
    "sheet.pairs=1",
    "log=debug",
]
IMAGES = ["sheet.attention=0", "sheet.rejected=0"]


def test_the_settings_of_where_a_run_works_change_no_result(tmp_path: Path):
    models = Models("generator", "clip")
    plain, other = (resolve.checked(resolve.compose(more)) for more in ([], [*BOTH, *IMAGES]))
    assert settings_of(plain, "", models) == settings_of(other, "", models)
    given = small.settings(tmp_path)
    plain_pairs, other_pairs = (resolve.read_pairs_settings([*given, *more]) for more in ([], BOTH))
    assert PairTask(plain_pairs).settings("", models) == PairTask(other_pairs).settings("", models)


def test_every_such_setting_was_tried():
    # A running Ray has its own port, so that the port of metrics cannot be given with it. The shape of batches changes
    # the last bits of results.
    tried = {setting.partition("=")[0] for setting in [*BOTH, *IMAGES]}
    tried |= {"cluster.metrics_port", "cluster.batch_rows"}
    for name, schema in (("cluster", Cluster), ("tracker", Tracker), ("sheet", Sheet)):
        assert {f"{name}.{entry.name}" for entry in fields(schema)} - {f"{name}.kind"} <= tried


def test_every_kind_is_an_option_of_its_group():
    assert set(options("cluster")) == {kind.value for kind in ClusterKind}
    assert set(options("tracker")) == {kind.value for kind in TrackerKind}


@pytest.mark.parametrize("first", [1, 5, 64])
def test_pairs_with_rejected_pictures_become_sparser(first: int):
    sheet = Sheet(rejected=first)
    places = [place for place in range(1024 * first) if sheet.shows_rejected(place)]
    assert places[:first] == list(range(first))
    for doubling in range(10):
        low = first << doubling
        assert abs(sum(low <= place < 2 * low for place in places) - first / 2) <= 1
    assert not any(Sheet(rejected=0).shows_rejected(place) for place in range(100))
