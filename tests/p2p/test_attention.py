"""One attention layer: fused with mixed values, against edited maps in memory."""

from __future__ import annotations

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor

from p2p.attention import PLAIN, CrossRouting, InjectedAttention, Routing

ROWS, PIXELS, TOKENS, WIDTH, CONTEXT = 6, 16, 7, 24, 10


@pytest.fixture
def draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def hidden(draw: torch.Generator) -> Tensor:
    return torch.randn((ROWS, PIXELS, WIDTH), generator=draw)


@pytest.fixture
def context(draw: torch.Generator) -> Tensor:
    return torch.randn((ROWS, TOKENS, CONTEXT), generator=draw)


def layer(cross: bool) -> Attention:
    torch.manual_seed(1)
    attention = Attention(WIDTH, CONTEXT if cross else None, heads=3, dim_head=8).eval()
    for weight in (attention.to_q.weight, attention.to_k.weight):
        weight.data.mul_(4)
    return attention


def maps_and_values(attention: Attention, hidden: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
    q, k, v = (
        attention.head_to_batch_dim(x, out_dim=4)
        for x in (attention.to_q(hidden), attention.to_k(context), attention.to_v(context))
    )
    return torch.softmax(q @ k.transpose(-1, -2) * attention.scale, -1), v


def joined(attention: Attention, out: Tensor) -> Tensor:
    return attention.to_out[0](out.transpose(1, 2).flatten(2))


def injected(attention: Attention, routing: Routing, hidden: Tensor, context: Tensor | None = None) -> Tensor:
    processor = InjectedAttention()
    processor.routing = routing
    attention.set_processor(processor)
    return attention(hidden, encoder_hidden_states=context)


@torch.no_grad()
@pytest.mark.parametrize("cross", [False, True])
def test_without_routing_it_is_diffusers_attention(cross: bool, hidden: Tensor, context: Tensor) -> None:
    attention = layer(cross)
    attention.set_processor(AttnProcessor2_0())
    given = context if cross else None
    expected = attention(hidden, encoder_hidden_states=given)
    assert torch.allclose(injected(attention, PLAIN, hidden, given), expected, atol=1e-6)


@torch.no_grad()
def test_self_attention_takes_its_sources_maps(hidden: Tensor) -> None:
    attention, source = layer(cross=False), [0, 0, 2, 2, 5, 5]
    maps, values = maps_and_values(attention, hidden, hidden)
    expected = joined(attention, maps[source] @ values)
    assert torch.allclose(
        injected(attention, Routing(self_source=torch.tensor(source)), hidden), expected, atol=1e-5
    )


@torch.no_grad()
@pytest.mark.parametrize("kept", [False, True])
def test_cross_attention_is_the_edit_of_the_maps(
    kept: bool, hidden: Tensor, context: Tensor, draw: torch.Generator
) -> None:
    attention, source = layer(cross=True), [0, 0, 2, 2, 5, 5]
    R = torch.rand((ROWS, TOKENS, TOKENS), generator=draw)
    D = torch.rand((ROWS, TOKENS), generator=draw) if kept else torch.zeros(ROWS, TOKENS)
    c = torch.randn((ROWS, TOKENS), generator=draw)
    maps, values = maps_and_values(attention, hidden, context)
    edited = torch.empty_like(maps)
    for row in range(ROWS):
        for j in range(TOKENS):
            given = sum(R[row, i, j] * maps[source[row], :, :, i] for i in range(TOKENS))
            edited[row, :, :, j] = c[row, j] * (given + D[row, j] * maps[row, :, :, j])
    routing = CrossRouting(torch.tensor(source), R * c[:, None], (D * c)[..., None] if kept else None)
    assert torch.allclose(
        injected(attention, Routing(cross=routing), hidden, context),
        joined(attention, edited @ values),
        atol=1e-5,
    )
