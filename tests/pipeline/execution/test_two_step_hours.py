"""``cluster.hours`` of a command of two runs: one time, counted from the command on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conf.pairs import Settings
from pipeline.dataset.funnel import Funnel
from pipeline.errors import RunError
from pipeline.execution import interrupt, two_step_run
from pipeline.output import OutputMode
from pipeline.pairs.two_step_settings import OPTION, configured
from tests import runs
from tests.pipeline.pairs import small


@pytest.mark.parametrize(
    ("more", "ends"), [((), 1), (("pairs.cluster.hours=0.1",), 0), (("cluster.hours=2",), None)]
)
def test_what_the_first_half_takes_is_the_second_s_no_more(
    sd1_folder: Path,
    clip_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: tuple[str, ...],
    ends: int | None,
):
    """Of two halves of 40 minutes each the ``ends``-th goes over its time."""
    own = [one for one in small.settings(tmp_path) if one.startswith(("captions.path", "writer", "edits"))]
    images = runs.settings(sd1_folder, clip_folder, f"out={tmp_path / 'out'}", "cluster.hours=1")
    now, begun = [0.0], list[object]()

    def run(config: Settings, mode: OutputMode, over: Callable[[], str]) -> Funnel:
        begun.append(config)
        now[0] += 2400
        interrupt.check_deadline(over)
        return Funnel(samples=1)

    monkeypatch.setattr(two_step_run, "deadline", lambda hours: interrupt.deadline(hours, lambda: now[0]))
    monkeypatch.setattr(two_step_run, "run_step", run)
    halves = configured([*images, OPTION, *own, *more])
    if ends is None:
        assert two_step_run.run(*halves, OutputMode.quiet) == 0
        assert len(begun) == 2
    else:
        with pytest.raises(RunError, match=r"its time is over \(cluster\.hours="):
            two_step_run.run(*halves, OutputMode.quiet)
        assert len(begun) == ends + 1
