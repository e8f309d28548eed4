"""Defines the interface of a writer: captions and seeds in, instructions and edited captions out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stages.errors import StageError


class WriterError(StageError):
    """The writer cannot write for any caption: one line that names what is missing and the fix."""


@dataclass(frozen=True)
class EditRequest:
    """A request for one edit of ``caption``, with a ``seed`` of its own in [0, 2³²)."""

    caption: str
    seed: int


@dataclass(frozen=True)
class Answer:
    """An instruction and an edited caption, or the ``reason`` why ``text`` holds none."""

    instruction: str = ""
    edited: str = ""
    reason: str = ""
    text: str = ""


@dataclass(frozen=True)
class NoAnswer:
    """The reason why no answer came. Unlike a malformed answer, it may be retried."""

    reason: str


class Writer(Protocol):
    """The interface of a model, a service or a grammar that writes edits."""

    def write(self, requests: Sequence[EditRequest]) -> list[Answer | NoAnswer]:
        """Returns one answer for each request, in order. Raises WriterError if no other caption can be written either.

        An answer depends on its own request only, as far as the writer controls that; a service does not.
        """
        ...


def to_answer(text: str, parsed: tuple[str, str] | str) -> Answer:
    """Returns the answer for ``text``, which was parsed as instruction and edited caption or failed for a reason."""
    if isinstance(parsed, str):
        return Answer(reason=parsed, text=text)
    return Answer(*parsed)
