"""A store that fails at a tenth of its calls, before or after it has done what it was asked."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

CALLS = ("exists", "size", "cat_file", "ls", "pipe_file", "rm_file", "open")


class Flaky(MemoryFileSystem):
    """``flaky://``; ``failed`` counts."""

    protocol = "flaky"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    draw = random.Random(0)
    failed = 0
    _depth = 0

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return MemoryFileSystem._strip_protocol(path.replace("flaky://", "memory://"))


def _failing(name: str) -> Callable[..., Any]:
    whole = getattr(MemoryFileSystem, name)

    @functools.wraps(whole)
    def call(self: Flaky, *arguments: Any, **named: Any) -> Any:
        # What a call asks of itself is one call to whoever made it.
        if Flaky._depth:
            return whole(self, *arguments, **named)
        Flaky._depth += 1
        try:
            chance = Flaky.draw.random()
            if chance < 0.05:
                Flaky.failed += 1
                raise ConnectionResetError(f"{name} was cut off")
            done = whole(self, *arguments, **named)
            if chance < 0.1:
                Flaky.failed += 1
                raise TimeoutError(f"{name} was done, and nobody heard of it")
            return done
        finally:
            Flaky._depth -= 1

    return call


for _name in CALLS:
    setattr(Flaky, _name, _failing(_name))
fsspec.register_implementation("flaky", Flaky, clobber=True)
