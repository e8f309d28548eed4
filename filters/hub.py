"""Asks the model hub's cache on this machine, and the hub itself for two seconds at most."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

SECONDS_TO_ANSWER = 2.0
_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def is_hub_name(model: str) -> bool:
    """Returns True for owner/name, unless it is a path on this machine."""
    return bool(_NAME.fullmatch(model)) and not Path(model).exists()


def hub_answers() -> bool:
    """Returns True if the hub answers within two seconds. Its own clients would try for a minute."""
    # Imported here and below, because it takes a third of a second, which local models do not need.
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=SECONDS_TO_ANSWER)
    # Errors of whatever library makes the request, and of offline mode.
    except Exception:
        return False
    return True


def is_cached(repository: str, files: Sequence[str], revision: str | None = None) -> bool:
    """Returns True if one of these files is in the hub's cache."""
    from huggingface_hub import try_to_load_from_cache

    return any(isinstance(try_to_load_from_cache(repository, file, revision=revision), str) for file in files)


def holds_weights() -> bool:
    """Returns True if the hub's cache has safetensors weights of any model at the top of its repository."""
    from huggingface_hub import constants

    return any(Path(constants.HF_HUB_CACHE).glob("models--*/snapshots/*/*.safetensors"))


def use_cache_alone() -> None:
    """Turns the hub off, in this process and in those that it starts later."""
    from huggingface_hub import constants

    os.environ["HF_HUB_OFFLINE"] = "1"
    constants.HF_HUB_OFFLINE = True
