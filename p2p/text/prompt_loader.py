"""A model's tokenizer without the model."""

from __future__ import annotations

from pathlib import Path

from conf.messages import error_line
from p2p.errors import ModelError
from p2p.families import PROMPTS
from p2p.families.family_plugin import own_family
from p2p.models.model_folder import family_name, local_folder
from p2p.text.token_windows import PromptWindow


def load_prompts(model: str | Path, revision: str | None = None, family: str | None = None) -> PromptWindow:
    """The model's tokenizer alone: what it counts, and how much its text encoder takes.

    The arguments are those of ``load``.

    Raises:
        ModelError: as ``load``.
    """
    folder = local_folder(model, revision, whole=False)
    window = PROMPTS[family_name(folder)] if family is None else own_family(family, folder).window
    try:
        return window(folder)
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder}: the tokenizer does not load: {error_line(error)}") from error
