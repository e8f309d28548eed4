"""``pairforge finetune``: a causal language model learns from triples how caption pairs are written."""

from __future__ import annotations

import os
from collections.abc import Sequence

from pipeline.finetune import finetune_settings


def main(arguments: Sequence[str]) -> int:
    """Train, write the model's folder, say how it went; 0.

    Raises ConfigError for settings, triples or a model that cannot be, and CaptionsError for what is not to be read.
    """
    asked = finetune_settings.read_settings(arguments)
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # Imported here, because the libraries read the environment when they are imported.
    from transformers.utils import logging

    from pipeline.finetune.finetune_run import run

    logging.disable_progress_bar()  # there is a line an epoch
    run(asked, lambda line: print(line, flush=True))
    return 0
