"""The progress line of a run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from pipeline.dataset.funnel import Funnel

# Without a terminal, a line is printed at this interval.
SECONDS_BETWEEN_LINES = 15.0
SECONDS_UNTIL_EXPLAINED = 5.0
WITH_RATE, WITH_BAR = 80, 110
"""Columns of a terminal that shows the rate, and of one that shows a bar too."""


class Display:
    """Counts committed units and shows the progress."""

    def __init__(self, console: Console, pairs: int, before: Funnel) -> None:
        """``before``: funnel of what an earlier run of the same output committed."""
        self._console = console
        self._pairs = pairs
        self._pairs_before = before.pairs
        self.funnel = before
        self._started = self._printed = time.monotonic()
        # rich would cut the times of a line that is too long.
        has_bar = console.width >= WITH_BAR
        self._has_rate = console.width >= WITH_RATE or not console.is_terminal
        self._progress = Progress(
            *([TextColumn("{task.description}"), BarColumn(console.width - 100)] if has_bar else []),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} pairs"),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            _TimeLeft(self),
            console=console,
            transient=True,
        )
        self.first_kept: float | None = None
        begun = "" if has_bar else "starting"
        self._task = self._progress.add_task("starting", total=pairs, completed=before.pairs, state=begun)

    @contextmanager
    def live(self) -> Iterator[Display]:
        """Show the progress line while the block runs, on a terminal only."""
        if not self._console.is_terminal:
            yield self
            return
        with self._progress:
            yield self

    @contextmanager
    def explain_waiting(self, text: str) -> Iterator[None]:
        """Print a line if the block takes longer than ``SECONDS_UNTIL_EXPLAINED``."""
        timer = threading.Timer(SECONDS_UNTIL_EXPLAINED, self._console.print, [text])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def count_unit(self, summary: dict[str, Any]) -> None:
        """Count a committed unit."""
        self.funnel.add(summary)
        if summary["samples"] and self.first_kept is None:
            self.first_kept = time.time() - psutil.Process().create_time()
        self._progress.update(
            self._task, description="generating", completed=self.funnel.pairs, state=self.state()
        )
        now = time.monotonic()
        if not self._console.is_terminal and now - self._printed >= SECONDS_BETWEEN_LINES:
            self._printed = now
            left = self.seconds_left()
            self._console.print(
                f"{self.funnel.pairs:,}/{self._pairs:,} pairs, {self.state()}, {clock(left)} left",
                highlight=False,
            )

    def state(self) -> str:
        """Return the pairs with a kept sample, their share, and the rate."""
        rate = self.rate()
        return (
            f"{self.funnel.pairs_kept:,} kept ({self.funnel.keep_rate:.0%}), {rate:.2f} pairs/s"
            if rate and self._has_rate
            else f"{self.funnel.pairs_kept:,} kept"
        )

    def rate(self) -> float:
        """Caption pairs a second since the start of this run."""
        return (self.funnel.pairs - self._pairs_before) / max(time.monotonic() - self._started, 1e-9)

    def seconds_left(self) -> float | None:
        """Estimate from the rate; None before the first unit."""
        rate = self.rate()
        return (self._pairs - self.funnel.pairs) / rate if rate else None


class _TimeLeft(ProgressColumn):
    def __init__(self, display: Display) -> None:
        super().__init__()
        self._display = display

    def render(self, task: Task) -> Text:
        left = self._display.seconds_left()
        return Text("" if left is None else f"{clock(left)} left")


def clock(seconds: float | None) -> str:
    """Format seconds as h:mm:ss or m:ss, None as a question mark."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
