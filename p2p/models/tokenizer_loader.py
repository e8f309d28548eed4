"""Loading of a model's tokenizer without the model."""

from __future__ import annotations

import inspect
from pathlib import Path

from conf.messages import error_line
from p2p.errors import ModelError
from p2p.models.family_registry import find_window
from p2p.models.model_folder import local_folder
from p2p.text.token_windows import PromptWindow


def load_tokenizer(
    model: str | Path,
    revision: str | None = None,
    family: str | None = None,
    max_sequence_length: int | None = None,
) -> PromptWindow:
    """Loads a model's tokenizer, which counts tokens, and the limit of its text encoder.

    The arguments are those of ``load``.

    Raises:
        ModelError: as ``load``.
    """
    folder = local_folder(model, revision, whole=False)
    load_window = find_window(folder, family)
    # The window of SD3 is CLIP's, whatever T5's is.
    takes_limit = "limit" in inspect.signature(load_window).parameters
    options = {"limit": max_sequence_length} if max_sequence_length is not None and takes_limit else {}
    try:
        return load_window(folder, **options)
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder}: the tokenizer does not load: {error_line(error)}") from error
