"""A stage that answers with what its process has around it."""

from __future__ import annotations

import os
import sys


class Surroundings:
    def __call__(self, unit: object) -> tuple[str, dict[str, str], list[str], int, bool]:
        without_peft = "peft" in sys.modules and sys.modules["peft"] is None
        return os.getcwd(), dict(os.environ), sys.path, os.getpriority(os.PRIO_PROCESS, 0), without_peft
