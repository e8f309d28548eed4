from __future__ import annotations

from pathlib import Path

import pytest

from conf.compose import ConfigError
from pipeline.config.resolve import checked, compose
from pipeline.pairs import pairs_settings as of_captions
from tests.pipeline.pairs import small


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["cluster.workers=0"], "cluster.workers=0 must be 1 or more"),
        (["cluster.batch_rows=3"], "cluster.batch_rows=3 must be 4 or more"),
        (["cluster.threads=0"], "cluster.threads=0 must be 1 or more"),
        (["cluster.unit_seconds=0.5"], "cluster.unit_seconds=0.5 must be 1 or more"),
        (["cluster.wait_seconds=-1"], "cluster.wait_seconds=-1.0 must be 1 or more"),
        (["cluster.metrics_port=0"], "cluster.metrics_port=0 must be 1 or more"),
        (["cluster.hours=0"], "cluster.hours=0 must be over 0"),
        (["cluster=ray"], "cluster=ray needs cluster.address"),
        (
            ["cluster=ray", "cluster.address=auto", "cluster.metrics_port=8080"],
            "ray start --metrics-export-port",
        ),
        (["tracker=tensorboard", "out=s3://bucket/a"], "tensorboard does not write to s3://bucket/a"),
    ],
)
def test_a_run_of_either_kind_is_refused_by_name(tmp_path: Path, settings: list[str], said: str):
    with pytest.raises(ConfigError) as of_images:
        checked(compose(settings))
    with pytest.raises(ConfigError) as of_texts:
        of_captions.read([*small.settings(tmp_path), *settings])
    assert said in str(of_images.value)
    assert str(of_images.value) == str(of_texts.value)
