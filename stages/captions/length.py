"""Whether a pair's captions fit the text encoder."""

from __future__ import annotations

from collections.abc import Callable

from stages.records import CaptionPair


def check(pair: CaptionPair, count: Callable[[str], int], limit: int) -> str:
    """Why the model cannot take the pair's captions, or "" if it can. The instruction is never encoded.

    Args:
        count: tokens of a text, start and end included; each token stands for a character at least.
        limit: tokens that the text encoder takes, start and end included.
    """
    for field, text in (("input", pair.input), ("output", pair.output)):
        # Counting costs more than all the rest of reading; a short ASCII text fits whatever its tokens are.
        if len(text) + 2 <= limit and text.isascii():
            continue
        tokens = count(text)
        if tokens > limit:
            return (
                f"the {field} caption has {tokens} tokens, the model's text encoder takes {limit}: "
                "shorten it, or cut it with edit.too_long=truncate"
            )
    return ""
