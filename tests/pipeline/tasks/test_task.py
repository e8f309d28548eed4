from __future__ import annotations

from pathlib import Path

import pytest

from conf.config_errors import ConfigError
from pipeline.config import resolve, saved
from pipeline.tasks.image_task import ImageTask
from pipeline.tasks.pair_task import PairTask
from pipeline.tasks.task import saved_task, task_of
from stages.storage.store import Store
from tests.pipeline.pairs import small


def test_the_configuration_decides_the_kind_of_run(tmp_path: Path) -> None:
    images = resolve.checked(resolve.compose([f"out={tmp_path / 'images'}"]))
    pairs = resolve.read_pairs_settings(small.settings(tmp_path))
    for config, kind in ((images, ImageTask), (pairs, PairTask)):
        assert type(task_of(config)) is kind
        store = Store(config.out)
        saved.write(store, config)
        assert saved_task(store) == task_of(config)


def test_a_folder_without_a_configuration_has_no_task(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not the output of a run"):
        saved_task(Store(str(tmp_path)))


def test_both_kinds_of_run_have_the_same_methods() -> None:
    images, pairs = ({name for name in vars(kind) if name[0] != "_"} for kind in (ImageTask, PairTask))
    assert images == pairs
