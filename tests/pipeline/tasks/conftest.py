from __future__ import annotations

from tests.stages.writers.conftest import untrained, untrained_chat

__all__ = ["untrained", "untrained_chat"]
