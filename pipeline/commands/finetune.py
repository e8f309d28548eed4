"""``pairforge finetune``: trains a causal language model on triples to write caption pairs."""

from __future__ import annotations

import os
from collections.abc import Sequence

from pipeline.finetune import finetune_settings


def finetune(settings: Sequence[str]) -> int:
    """Train a language model on triples, so that it writes caption pairs.

    data=FILE            triples of input caption, instruction, output caption
    writer.model=MODEL   the causal language model to begin with: a folder or a name on the hub
    out=DIR              the new model: pairforge pairs writer=transformers writer.model=DIR
    epochs=20 batch=16 validation=0.1 patience=4 keep=best|last learning_rate=… lora.rank=0

    Raises ConfigError for invalid settings, triples or models, CaptionsError for an unreadable file.
    """
    chosen = finetune_settings.read_settings(settings)
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # Imported here, because the libraries read the environment when they are imported.
    from transformers.utils import logging

    from pipeline.finetune.finetune_run import run

    logging.disable_progress_bar()  # each epoch prints a line
    run(chosen, lambda line: print(line, flush=True))
    return 0
