"""Fixtures of commands, for the page about them."""

from tests.pipeline.conftest import clip_folder
from tests.pipeline.finetune.conftest import base, triples

__all__ = ["base", "clip_folder", "triples"]
