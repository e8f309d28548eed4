"""Reads the caption pairs of a run: those that the model can take, each once; sets all other records aside."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import p2p
from stages.captions import CaptionSource, open_captions
from stages.captions.blocklist import blocklist_check
from stages.captions.dedup import DuplicateCheck
from stages.captions.token_limit import token_limit_check
from stages.records import CaptionPair, Quarantined


def read_pairs(
    source: CaptionSource, blocked: Sequence[str], model: tuple[Any, ...], truncate: bool = False
) -> Iterator[CaptionPair | Quarantined]:
    """Yields a pair, or a quarantined line with its reason, for each record of the source, in its order.

    Args:
        source: the records to read, and how many good pairs at most.
        blocked: the phrases of `load_blocklist`.
        model: the arguments of `p2p.load_prompts`; the model's tokenizer counts.
        truncate: whether captions may have more tokens than the model's text encoder takes.

    Raises:
        CaptionsError: as `open_captions`.
        p2p.ModelError: the model has no tokenizer.
    """
    prompts = p2p.load_prompts(*model)
    limit = sys.maxsize if truncate else prompts.limit
    blocklist, token_limit = blocklist_check(blocked), token_limit_check(prompts.count, limit, prompts.spaces)
    duplicates = DuplicateCheck()
    return open_captions(
        source, (lambda pair, _: blocklist(pair), lambda pair, _: token_limit(pair), duplicates)
    )
