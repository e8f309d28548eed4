from __future__ import annotations

import pytest
import torch

import p2p
from p2p.attention.processor import PLAIN, InjectedAttention


def test_all_attention_of_the_transformers_shares_one_processor(editor: p2p.Editor) -> None:
    denoiser = editor.family.denoiser
    processors = denoiser.model.attn_processors.values()
    assert {id(processor) for processor in processors} == {id(denoiser.attention)}
    assert isinstance(denoiser.attention, InjectedAttention)


def test_routing_ends_with_the_call_that_fails(editor: p2p.Editor) -> None:
    with pytest.raises(AttributeError):
        editor.family.denoiser(torch.zeros(3, 4, 8, 8), torch.ones(3), torch.zeros(3, 20, 32), "no routing")
    assert editor.family.denoiser.attention.routing is PLAIN
