"""``pairforge completion SHELL``: prints the script that a shell evaluates."""

from __future__ import annotations

from importlib import resources


def completion(shell: str) -> int:
    """Print the script that completes commands and settings at the Tab key.

    Examples, for the start-up file of bash, zsh and fish:

      eval "$(pairforge completion bash)"
      eval "$(pairforge completion zsh)"
      pairforge completion fish | source
    """
    print(resources.files("pipeline.cli").joinpath(f"completion.{shell}").read_text(), end="")
    return 0
