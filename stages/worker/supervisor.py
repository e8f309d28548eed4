"""Runs a stage in a supervised process: finds the pairs that kill or hang the process, and fails them alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from conf.pairs import Settings
from stages.errors import MachineError
from stages.records import Failure, Place, Unit, UnitResult

# A process may also die without a fault of its pairs, so the same pairs are tried again before they are split.
TRIES = 2
# A unit hangs if it takes this many times as long as the slowest so far.
SLOWER = 3.0


class _NoAnswerError(Exception):
    """The process did not answer in time: a text for the user."""


class Supervised:
    """Calls a stage that runs in a process of its own, and survives the death of that process.

    Pairs that kill their process, or keep it longer than a unit may take, ``TRIES`` times are split in halves, until
    one pair stands alone: that pair is a failure with its reason. Then the other pairs are made once more, in one call,
    so that a unit's bytes depend only on its failed pairs, and not on how often and where its process died. If that
    call fails too, the results of the halves are kept.

    A unit may take ``cluster.unit_seconds``, or ``SLOWER`` times as long as the slowest unit so far if that is longer.
    While no unit is known, the second attempt has ``SLOWER`` times as long as the first, so that a machine that needs
    more than ``cluster.unit_seconds`` for each unit is known as slow after one of them.
    """

    def __init__(self, config: Settings, model_fingerprint: str, needs_gpu: bool = False) -> None:
        """Starts the process and sets up the stage in it, on a GPU if it ``needs_gpu``.

        Raises StageError, or MachineError if the machine is at fault.
        """
        self._arguments = (needs_gpu, config.stage, config, model_fingerprint)
        self._seconds = config.cluster.unit_seconds
        self._slowest = 0.0
        self._sheet_pairs = config.sheet.pairs
        self._unit_pairs = config.unit_pairs
        self._running = False
        self._start()

    def __call__(self, unit: Unit, slowest: float = 0.0) -> UnitResult:
        """Returns the unit's result. ``slowest``: seconds that the slowest unit so far took, 0 if none is known.

        Raises StageError if the stage raises it or cannot be set up again, MachineError if the machine is at fault. The
        next call starts another process.
        """
        self._slowest = max(slowest, self._slowest)
        if not self._running:
            self._start()
        pieces = self._make(unit)
        if len(pieces) == 1:
            return pieces[0]
        failures = tuple(failure for piece in pieces for failure in piece.failures)
        failed = {failure.pair_id for failure in failures}
        others = tuple(pair for pair in unit.pairs if pair.id not in failed)
        again = self._try(replace(unit, pairs=others)) if others else "there are no others"
        if isinstance(again, UnitResult):
            pieces = [again, UnitResult(Unit(unit.index, ()), (), (), failures, (), 0, {})]
        on_sheet = {
            pair.id for pair in unit.pairs[: max(0, self._sheet_pairs - unit.index * self._unit_pairs)]
        }
        return merge(unit, pieces, on_sheet)

    def close(self) -> None:
        """Ends the process."""
        self._running = False
        self._link.close()
        self._process.kill()
        self._process.wait()

    def _make(self, unit: Unit) -> list[UnitResult]:
        """Makes the unit in one call, or in halves if that fails."""
        result, pairs = self._try(unit), unit.pairs
        if isinstance(result, UnitResult):
            return [result]
        if len(pairs) == 1:
            failure = Failure(pairs[0].id, f"unit {unit.index}: {result}, {TRIES} times")
            return [UnitResult(unit, (), (), (failure,), (), 0, {})]
        half = (len(pairs) + 1) // 2
        return [
            piece for part in (pairs[:half], pairs[half:]) for piece in self._make(replace(unit, pairs=part))
        ]

    def _try(self, unit: Unit) -> UnitResult | str:
        """Makes the unit in at most ``TRIES`` attempts. Returns the result, or the reason of the last failure."""
        result: UnitResult | str = ""
        limit = max(self._seconds, SLOWER * self._slowest)
        for attempt in range(TRIES):
            started = time.monotonic()
            result = self._attempt(unit, limit if self._slowest or not attempt else SLOWER * limit)
            if isinstance(result, UnitResult):
                self._slowest = max(self._slowest, time.monotonic() - started)
                break
            first = unit.pairs[0]
            print(
                f"unit {unit.index}, {len(unit.pairs)} pairs from {first.id} ({first.input!r}): {result}",
                file=sys.stderr,
            )
        return result

    def _attempt(self, unit: Unit, limit: float) -> UnitResult | str:
        """Returns the result, or the reason of the failure after the start of another process.

        Raises StageError and MachineError if the stage raises them, with its process ended.
        """
        try:
            answer = self._ask(unit, limit, f"it took more than {limit:g} s (cluster.unit_seconds)")
        except _NoAnswerError as error:
            answer = str(error)
        if isinstance(answer, UnitResult):
            return answer
        self.close()
        if isinstance(answer, Exception):
            raise answer
        self._start()
        return answer

    def _start(self) -> None:
        here, there = socket.socketpair()
        with here, there:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "stages.worker.process", str(there.fileno())],
                pass_fds=[there.fileno()],
                # The stage may be importable from this process's path only.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            )
            self._link = Connection(here.detach())
        late = f"more than {self._seconds:g} s passed (cluster.unit_seconds)"
        try:
            answer = self._ask(self._arguments, self._seconds, late)
        except _NoAnswerError as error:
            answer = MachineError(f"while the models were loaded, {error}")
        if isinstance(answer, Exception):
            self.close()
            raise answer
        self.place: Place = answer
        self._running = True

    def _ask(self, message: object, limit: float, late: str) -> Any:
        """Sends ``message`` and returns the answer. Raises _NoAnswerError if it takes too long or the process dies."""
        try:
            self._link.send(message)
            if self._link.poll(limit):
                return self._link.recv()
        except (EOFError, OSError):
            raise _NoAnswerError(self._cause_of_death()) from None
        raise _NoAnswerError(late)

    def _cause_of_death(self) -> str:
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return "its process was killed by SIGKILL, as is done where memory runs out"
        return f"its process died of {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"


def merge(unit: Unit, pieces: Sequence[UnitResult], on_sheet: set[str]) -> UnitResult:
    """Merges the results of the pieces of ``unit``, in the order of its pairs, with previews of ``on_sheet`` only."""
    seconds: Counter[str] = Counter()
    shifts: Counter[str] = Counter()
    for piece in pieces:
        seconds.update(piece.seconds)
        shifts.update(piece.shifts)
    return UnitResult(
        unit=unit,
        samples=tuple(sample for piece in pieces for sample in piece.samples),
        candidates=tuple(candidate for piece in pieces for candidate in piece.candidates),
        failures=tuple(failure for piece in pieces for failure in piece.failures),
        previews=tuple(p for piece in pieces for p in piece.previews if p.pair.id in on_sheet),
        rows=sum(piece.rows for piece in pieces),
        seconds=dict(seconds),
        rescored=sum(piece.rescored for piece in pieces),
        shifts=dict(shifts),
        thumbnails=tuple(thumbnail for piece in pieces for thumbnail in piece.thumbnails),
        rejected=tuple(images for piece in pieces for images in piece.rejected),
        answers=tuple(answer for piece in pieces for answer in piece.answers),
    )
