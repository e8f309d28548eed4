"""What every writer is: captions and seeds in, instructions and edited captions out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stages.errors import StageError


class WriterError(StageError):
    """A writer that cannot write for any caption: one line that names what is missing and the mend."""


@dataclass(frozen=True)
class Asked:
    """One edit of ``caption`` that is wanted; ``seed``, in [0, 2³²), is its alone."""

    caption: str
    seed: int


@dataclass(frozen=True)
class Answer:
    """An instruction and an edited caption, or with ``reason`` why ``text`` holds none."""

    instruction: str = ""
    edited: str = ""
    reason: str = ""
    text: str = ""


@dataclass(frozen=True)
class NoAnswer:
    """None came, and why: unlike a malformed answer, it may be asked for again."""

    reason: str


class Writer(Protocol):
    """A model, a service or a grammar."""

    def write(self, asked: Sequence[Asked]) -> list[Answer | NoAnswer]:
        """One answer each, in the order asked: a function of what was asked alone, not of its company.

        (As far as the writer can promise that: a service cannot.) Raises WriterError if there is no use in going on.
        """
        ...


def answer_of(text: str, parsed: tuple[str, str] | str) -> Answer:
    """What was parsed of ``text``: instruction and edited caption, or a reason."""
    if isinstance(parsed, str):
        return Answer(reason=parsed, text=text)
    return Answer(*parsed)
