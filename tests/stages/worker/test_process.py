from __future__ import annotations

import pickle
import socket
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch

from conf.compose import compose_config, to_object
from stages.errors import MachineError, StageError
from stages.records import CaptionPair, Place, Unit
from stages.worker.process import describe_place, load_stage, nvidia_driver
from tests.stages.worker.poison_stage import MEMORY, Poisonable

STAGE = "tests.stages.worker.poison_stage.Poisonable"
CONFIG = to_object(compose_config((f"stage={STAGE}",), "/nowhere/{}".format))
UNIT = Unit(3, (CaptionPair("a", "e", "o"),))
ROOT = Path(__file__).parents[3]

STAGES = """
from stages.errors import StageError

class Gone:
    def __call__(self, unit):
        raise StageError("the endpoint is gone")

class Sick:
    def __call__(self, unit):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

class SickAtStart:
    def __init__(self):
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")

class Importing:
    def __init__(self, name):
        __import__(name)
"""


def test_a_place_is_read_without_torch() -> None:
    """The driver and the worker's actor read it; a string of torch's own kind would make them import torch."""
    place = describe_place()
    assert place.torch == torch.__version__
    assert b"torch_version" not in pickle.dumps(place)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Connection]]:
    """A process that serves, in a folder with the module ``own_stages``, and the link to it."""
    (tmp_path / "own_stages.py").write_text(STAGES)
    here, there = socket.socketpair()
    with here, there:
        process = subprocess.Popen(
            [sys.executable, "-m", "stages.worker.process", str(there.fileno())],
            pass_fds=[there.fileno()],
            env={"PYTHONPATH": f"{ROOT}:{tmp_path}", "CUDA_VISIBLE_DEVICES": "3"},
        )
        link = Connection(here.detach())
    yield process, link
    link.close()
    process.kill()
    process.wait()


def test_a_stage_is_found_by_its_dotted_name(tmp_path: Path, monkeypatch) -> None:
    assert load_stage(STAGE) is Poisonable
    with pytest.raises(StageError, match="NoStage"):
        load_stage("tests.stages.worker.poison_stage.NoStage")
    (tmp_path / "broken_stage.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(StageError, match="no_such_library"):
        load_stage("broken_stage.Stage")


def test_each_unit_is_answered_until_the_link_closes(started) -> None:
    process, link = started
    link.send((False, STAGE, CONFIG, "f"))
    assert link.recv() == Place(socket.gethostname())
    for _ in range(2):
        link.send(UNIT)
        result = link.recv()
        assert result.unit == UNIT
        assert [sample.key for sample in result.samples] == [f"{UNIT.pairs[0].id}-000"]
    link.close()
    assert process.wait() == 0


def test_an_error_of_a_unit_is_a_reason_and_ends_the_process(started) -> None:
    process, link = started
    link.send((False, STAGE, CONFIG, "f"))
    assert link.recv() == Place(socket.gethostname())
    link.send(Unit(0, (CaptionPair(MEMORY, "e", "o"),)))
    assert link.recv().startswith("it raised MemoryError")
    assert process.wait() == 0


def test_an_error_of_the_stage_comes_as_it_is(started) -> None:
    process, link = started
    link.send((False, "own_stages.Gone"))
    assert link.recv() == Place(socket.gethostname())
    link.send(UNIT)
    error = link.recv()
    assert isinstance(error, StageError)
    assert str(error) == "the endpoint is gone"
    assert process.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((STAGE, CONFIG, "no models"), "/no/model is not there"),
        (("own_stages.Importing", "peft"), "peft"),
        (("own_stages.Importing", "wandb"), "wandb"),
    ],
)
def test_a_stage_that_cannot_be_set_up_is_a_reason(started, arguments: tuple, reason: str) -> None:
    process, link = started
    link.send((False, *arguments))
    error = link.recv()
    assert isinstance(error, StageError)
    assert reason in str(error)
    assert process.wait() == 0


def test_an_error_of_the_gpu_is_the_machines_fault(started) -> None:
    process, link = started
    link.send((False, "own_stages.Sick"))
    assert link.recv() == Place(socket.gethostname())
    link.send(UNIT)
    error = link.recv()
    assert isinstance(error, MachineError)
    assert "illegal memory access" in str(error)
    assert process.wait() == 0


def test_a_gpu_that_fails_at_loading_is_the_machines_fault(started) -> None:
    _, link = started
    link.send((False, "own_stages.SickAtStart"))
    error = link.recv()
    assert isinstance(error, MachineError)
    assert "out of memory" in str(error)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_worker_never_computes_on_the_cpu_in_place_of_a_gpu(started) -> None:
    process, link = started
    link.send((True, STAGE, CONFIG, "f"))
    error = link.recv()
    assert isinstance(error, MachineError)
    assert "was given GPU 3 and torch" in str(error)
    assert process.wait() == 0


def test_the_driver_is_read_from_the_kernels_text() -> None:
    open_module = (
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release Build  (dvs-builder)\n"
        "GCC version:  gcc version 12.2.0"
    )
    closed = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n"
    assert nvidia_driver(open_module) == "550.54.15"
    assert nvidia_driver(closed) == "535.104.05"
    assert nvidia_driver("") == ""
