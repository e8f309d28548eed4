from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.execution import ray_graph
from tests import runs


@pytest.mark.parametrize("address", ["head", "head:6379:1", "127.0.0.1:port"])
def test_an_address_that_is_none_is_one_line(tmp_path: Path, address: str):
    config = runs.config(tmp_path, tmp_path, "cluster=ray", f"cluster.address={address}")
    with pytest.raises(ray_graph.WorkerError) as caught, ray_graph.cluster(config):
        pass
    assert str(caught.value).startswith(f"cluster.address={address} cannot be joined: ")
    assert "HOST:PORT" in str(caught.value)
    assert "\n" not in str(caught.value)
