"""Checks options of a request against its prompts, with a tokenizer and without a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from p2p.attention.edit_matrices import cross_edit
from p2p.attention.local_blend import blend_columns
from p2p.errors import P2PError
from p2p.models.model_limits import ModelLimits
from p2p.sweep.baselines import check_method
from p2p.sweep.request import SweepRequest
from p2p.text.token_windows import PromptWindow


def find_problem(
    source: str,
    target: str,
    options: Mapping[str, Any],
    prompts: PromptWindow,
    limits: ModelLimits,
    **settings: Any,
) -> str:
    """Returns the reason why a request with these options cannot be carried out, or "".

    The other errors of a request, such as a caption that is too long, are not looked for.

    Args:
        source: the source's prompt.
        target: the edit's prompt.
        options: arguments of ``SweepRequest``.
        prompts: the model's tokenizer.
        limits: what the model can do.
        settings: other arguments of ``SweepRequest``, which are not wrong themselves.
    """
    try:
        request = SweepRequest(source, target, **settings, **options)
        check_method(request)
        limits.check(request.negative_prompt, request.guidance_interval, request.self_max_size)
        if request.image is not None:
            limits.check_image((len(request.image), len(request.image[0])), request.inversion)
        cut = request.too_long == "truncate"
        before, after = (prompts.tokenize(prompt, cut) for prompt in (source, target))
        cross_edit(before, after, "auto", request.reweight or {}, request.only, request.alignment)
        for word in request.word_taus or ():
            after.tokens_of(word, "word_taus")
        if request.local_blend is not None:
            blend_columns(request.local_blend, before, after)
    except P2PError as error:
        return str(error)
    try:
        prompts.tokenize(request.negative_prompt or "", cut)
    except P2PError as error:
        return f"negative_prompt: {error}"
    return ""
