"""The fixtures of finetuning, for its command."""

from tests.pipeline.finetune.conftest import base, triples

__all__ = ["base", "triples"]
