"""``pairforge finetune``: trains a causal language model on triples to write caption pairs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict

from pipeline.finetune import finetune_settings
from pipeline.output import output_mode


def finetune(settings: Sequence[str], quiet: bool = False, json: bool = False) -> int:
    """Train a language model on triples, so that it writes caption pairs.

    data=FILE            triples of caption, instruction and edited caption
    writer.model=MODEL   the causal language model to begin with, by folder
                         or hub name
    out=DIR              the folder of the new model
    epochs=20            passes over the data at most
    patience=4           epochs without progress before training stops
    keep=best            the epoch whose weights are kept: best or last
    batch=16             examples of a step
    validation=0.1       share of the captions held out from training
    learning_rate=null   null: 5e-5, or 2e-4 with LoRA
    lora.rank=0          0 trains all weights, and not LoRA's
    seed=0               of the order and the held-out captions

    Examples:

      pairforge finetune data=triples.jsonl writer.model=NAME out=writer
      pairforge pairs captions.path=FILE writer=transformers writer.model=writer

    Raises ConfigError for invalid settings, triples or models, CaptionsError for an unreadable file.
    """
    mode = output_mode(quiet, json)
    chosen = finetune_settings.read_settings(settings)
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # Imported here, because the libraries read the environment when they are imported.
    from transformers.utils import logging

    from pipeline.finetune.finetune_run import run

    logging.disable_progress_bar()  # each epoch prints a line
    result = run(chosen, mode.say)
    mode.answer({"out": chosen.out, **asdict(result)})
    return 0
