"""The docstrings of what others call, or write parts of their own against, as pages: `python docs/api.py FOLDER`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pdoc

MODULES = (
    "p2p",
    "p2p.families.family",
    "p2p.samplers.sampler",
    "filters",
    "filters.measures.measure",
    "filters.measures.measure_registry",
    "stages.captions",
    "stages.records",
    "miniworld",
)


def render(folder: Path) -> None:
    """Write a page for each of ``MODULES``, and index.html."""
    for name in MODULES:
        module = importlib.import_module(name)
        # Those that a package imports when they are asked for have to stand in it, or pdoc sees names alone.
        for public in getattr(module, "__all__", ()):
            setattr(module, public, getattr(module, public))
    pdoc.render.configure(docformat="google", search=False)
    pdoc.pdoc(*MODULES, output_directory=folder)


if __name__ == "__main__":
    render(Path(sys.argv[1]))
