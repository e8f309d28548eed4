"""Whole configurations drawn from the schema: each makes a pair's candidates, or is refused in one line."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conf.compose import changed
from conf.messages import error_line
from conf.schema import Config
from conf.setting_keys import GROUPS, known_keys, options, setting_types
from conf.sweeps import SWEEPS
from pipeline.config import environment, resolve
from pipeline.dataset.funnel import funnel_of
from pipeline.errors import USER_ERROR, reported
from pipeline.planning.plan import Plan
from pipeline.tasks.task import task_of
from stages.errors import StageError
from stages.generate import Generate
from stages.storage.commits import read_commits
from stages.storage.store import Store
from tests import runs
from tests.pipeline.commands.test_repair import command

LONGEST = 10.0
"""Seconds until a refusal."""
COMMANDS = 6
SMALL = ("limit=2", "sampler.steps=2", "sheet.attention=1")
ELSEWHERE = {"out", "log", "cluster.kind", "cluster.address", "cluster.hours", "tracker.kind", "experiment"}
"""Keys that lead to a cluster or a service, end the run early, print logs, or choose the output."""
INTEGERS = [
    "0",
    "1",
    "2",
    "3",
    "7",
    "64",
    "-1",
    "1000",
    "1001",
    "99999",
    "9223372036854775808",
    "1.5",
    "null",
]
FLOATS = ["0", "1", "0.5", "0.999", "7.5", "-1", "-0.0", "100", "1e308", "1e-320", "nan", "-inf", "null"]
TEXTS = [
    "''",
    "null",
    "nowhere",
    "/",
    "a b",
    "jürgen",
    "os",
    "json.tool",
    "local-dir:",
    "\U0001f600",
    "0",
    "'a,b'",
]
LISTS = [
    "[]",
    "[0]",
    "[0.5]",
    "[0.2,0.8]",
    "[0,1]",
    "[1,0.5]",
    "[0.5,0.5]",
    "[-1,2]",
    "[0.1,0.2,0.3,0.4]",
    "null",
]
MEASURES = [
    "[]",
    "[{kind:ssim}]",
    "[{kind:ssim,least:0.3}]",
    "[{kind:ssim},{kind:ssim}]",
    "[{kind:changed_area,most:0.9,tolerance:0}]",
    "[{kind:changed_area,name:clip_sim_0}]",
    "[{kind:ssim,name:kept}]",
    "[{kind:lpips}]",
    "[{kind:dino,model:nowhere}]",
    "[{kind:os}]",
    "[{}]",
]  # fmt: skip


def _values(key: str, kind: Any) -> list[str]:
    """Valid, edge and absurd values of a key."""
    kinds = {kind, *get_args(kind)}
    if key in GROUPS:
        return [name for name in options(key) if name not in ("ray", "wandb", "mlflow", "from_captions")]
    if key == "filter.measures":
        return MEASURES
    members = [entry for entry in kinds if isinstance(entry, type) and issubclass(entry, Enum)]
    if members:
        return [*(str(member.value) for member in members[0]), "nonsense"]
    if bool in kinds:
        return ["true", "false", "2"]
    if int in kinds:
        return INTEGERS
    if float in kinds:
        return FLOATS
    if str in kinds:
        return TEXTS
    return LISTS if list[float] in kinds else ["[]", "[a]", "{a:1}"]


SETTINGS = [
    st.sampled_from(_values(key, kind)).map(f"{key}={{}}".format)
    for key, kind in setting_types().items()
    if key not in ELSEWHERE
]
CONFIGURATIONS = st.lists(
    st.one_of(SETTINGS), min_size=1, max_size=5, unique_by=lambda entry: entry.partition("=")[0]
)


def _examples(count: int) -> Any:
    return settings(max_examples=count, database=None, suppress_health_check=[*HealthCheck])


def _accepted(command: Callable[[], object]) -> bool:
    """Run what a command does; False if it is refused in one line, soon."""
    printed, began = io.StringIO(), time.monotonic()
    with contextlib.redirect_stderr(printed):
        code = reported(lambda: bool(command()) and 0)
    if code:
        assert code == USER_ERROR, printed.getvalue()
        (line,) = printed.getvalue().splitlines()
        assert line.startswith("pairforge: ")
        assert time.monotonic() - began < LONGEST
    return not code


def _check(config: Config) -> Config:
    environment.prepare(config)
    task_of(config).freeze(Store(config.out)).check()
    return config


def _composed(words: Sequence[str], out: str) -> Config:
    return _check(resolve.checked(resolve.compose([*SMALL, *words, f"out={out}"])))


def _load(config: Config, fingerprint: str) -> Generate:
    """Load the models as a worker does."""
    try:
        return Generate(config, fingerprint)
    except Exception as error:
        raise StageError(error_line(error)) from error


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def sweeps() -> list[Config]:
    """A configuration of each sweep. Hydra takes too long to compose every example."""
    return [resolve.checked(resolve.compose([*SMALL, f"sweep={name}", "out=out"])) for name in SWEEPS]


@_examples(60)
@given(which=st.integers(0, len(SWEEPS) - 1), words=CONFIGURATIONS)
def test_any_settings_are_taken_or_refused_in_one_line(
    which: int, words: list[str], sweeps: list[Config]
) -> None:
    settings = [word for word in words if word.partition("=")[0] not in GROUPS]

    def check() -> Config:
        return _check(resolve.checked(changed(sweeps[which], settings, known_keys(), str)))

    _accepted(check)
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.long
@pytest.mark.timeout(3600)
@_examples(400)
@given(CONFIGURATIONS)
def test_what_is_taken_does_not_fail_every_pair(words: list[str]) -> None:
    """In this process, without Ray."""
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/out"
        configs = list[Config]()
        if _accepted(lambda: configs.append(_composed(words, out)) or True):
            plans = list[Plan]()
            if _accepted(lambda: plans.append(runs.committed(configs[0], _load)) or True):
                funnel = funnel_of(plans[0], read_commits(Store(out), range(plans[0].units)))
                assert funnel.candidates
                assert not funnel.failed


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_commands_of_any_settings_end_well(tmp_path: Path) -> None:
    """The real command, of the first configurations that are taken."""
    outs = list[Path]()

    @_examples(200)
    @given(CONFIGURATIONS)
    def run(words: list[str]) -> None:
        out = tmp_path / str(len(outs))
        if len(outs) < COMMANDS and _accepted(lambda: _composed(words, str(out))):
            outs.append(out)
            command(tmp_path, *SMALL, *words, f"out={out}")
            assert json.loads(command(tmp_path, "status", str(out), "--json"))["candidates"]

    run()
    assert len(outs) == COMMANDS
