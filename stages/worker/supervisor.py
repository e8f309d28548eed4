"""Runs a stage in a supervised process: finds the pairs that kill or hang the process, and fails them alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from multiprocessing.connection import Connection

from conf.pairs import Settings
from stages.errors import StageError
from stages.records import CaptionPair, Failure, Unit, UnitResult

# A process may also die without a fault of its pairs, so the same pairs are tried again before they are split.
TRIES = 2


class Supervised:
    """Calls a stage that runs in a process of its own, and survives the death of that process.

    Pairs that kill their process, or keep it longer than ``cluster.unit_seconds``, ``TRIES`` times are split in
    halves, until one pair stands alone: that pair is a failure with its reason. Then the other pairs are made once
    more, in one call, so that a unit's bytes depend only on its failed pairs, and not on how often and where its
    process died. If that call fails too, the results of the halves are kept.
    """

    def __init__(self, config: Settings, model_fingerprint: str) -> None:
        """Starts the process and sets up the stage in it. Raises StageError."""
        self._arguments = (config.stage, config, model_fingerprint)
        self._seconds = config.cluster.unit_seconds
        self._sheet_pairs = config.sheet.pairs
        self._unit_pairs = config.unit_pairs
        self._start()

    def __call__(self, unit: Unit) -> UnitResult:
        """Returns the unit's result. Raises StageError if the stage raises it or cannot be set up again."""
        pieces = self._make(unit.index, unit.pairs)
        if len(pieces) == 1:
            return pieces[0]
        failures = tuple(failure for piece in pieces for failure in piece.failures)
        failed = {failure.pair_id for failure in failures}
        others = tuple(pair for pair in unit.pairs if pair.id not in failed)
        again = self._try(Unit(unit.index, others)) if others else "there are no others"
        if isinstance(again, UnitResult):
            pieces = [again, UnitResult(Unit(unit.index, ()), (), (), failures, (), 0, {})]
        on_sheet = {
            pair.id for pair in unit.pairs[: max(0, self._sheet_pairs - unit.index * self._unit_pairs)]
        }
        return merge(unit, pieces, on_sheet)

    def close(self) -> None:
        """Ends the process."""
        self._link.close()
        self._process.kill()
        self._process.wait()

    def _make(self, index: int, pairs: tuple[CaptionPair, ...]) -> list[UnitResult]:
        """Makes the pairs in one call, or in halves if that fails."""
        unit = Unit(index, pairs)
        result = self._try(unit)
        if isinstance(result, UnitResult):
            return [result]
        if len(pairs) == 1:
            failure = Failure(pairs[0].id, f"unit {index}: {result}, {TRIES} times")
            return [UnitResult(unit, (), (), (failure,), (), 0, {})]
        half = (len(pairs) + 1) // 2
        return self._make(index, pairs[:half]) + self._make(index, pairs[half:])

    def _try(self, unit: Unit) -> UnitResult | str:
        """Makes the unit in at most ``TRIES`` attempts. Returns the result, or the reason of the last failure."""
        result: UnitResult | str = ""
        for _ in range(TRIES):
            result = self._attempt(unit)
            if isinstance(result, UnitResult):
                break
            first = unit.pairs[0]
            print(
                f"unit {unit.index}, {len(unit.pairs)} pairs from {first.id} ({first.input!r}): {result}",
                file=sys.stderr,
            )
        return result

    def _attempt(self, unit: Unit) -> UnitResult | str:
        """Returns the result, or the reason of the failure after the start of another process.

        Raises StageError if the stage raises it: every other unit would fail too.
        """
        try:
            self._link.send(unit)
            reason = f"it took more than {self._seconds:g} s (cluster.unit_seconds)"
            if self._link.poll(self._seconds):
                answer: UnitResult | StageError | str = self._link.recv()
                if isinstance(answer, UnitResult):
                    return answer
                if isinstance(answer, StageError):
                    self.close()
                    raise answer
                reason = answer
        except (EOFError, OSError):
            reason = self._cause_of_death()
        self.close()
        self._start()
        return reason

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
        try:
            self._link.send(self._arguments)
            ready = self._link.poll(self._seconds)
            error = self._link.recv() if ready else f"the models were not there after {self._seconds:g} s"
        except (EOFError, OSError):
            error = f"while its models were loaded, {self._cause_of_death()}"
        if error:
            self.close()
            raise StageError(error)

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
