"""One attention layer: fused with mixed values, against edited maps in memory."""

from __future__ import annotations

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor

from p2p.attention.processor import (
    PLAIN,
    InjectedAttention,
    attention,
    injected_values,
    join,
    kept_values,
    split,
)
from p2p.attention.routing import ColumnSums, CrossRouting, Injected, Routing, SelfRouting

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


def everybody() -> SelfRouting:
    return SelfRouting(torch.arange(ROWS), torch.arange(ROWS))


def own_and_taken(
    source: dict[int, int], own: list[int], draw: torch.Generator, spare: int = 0
) -> CrossRouting:
    """Rows ``own`` with some D, and rows that take from a source with some R; ``spare`` more rows of zeros each."""
    rows = sorted({*own, *source.values()})
    taking = list(source)
    Dc = torch.randn((len(own) + spare, TOKENS, 1), generator=draw)
    Rc = torch.randn((len(taking) + spare, TOKENS, TOKENS), generator=draw)
    Dc[len(own) :], Rc[len(taking) :] = 0, 0
    return CrossRouting(
        rows=torch.tensor(rows),
        kept=torch.tensor(own + own[:1] * spare),
        kept_at=torch.tensor([rows.index(row) for row in own + own[:1] * spare]),
        Dc=Dc,
        injected=torch.tensor(taking + [0] * spare, dtype=torch.int64),
        injected_at=torch.tensor(
            [rows.index(source[row]) for row in taking] + [0] * spare, dtype=torch.int64
        ),
        Rc=Rc,
    )


def edited_maps(maps: Tensor, cross: CrossRouting) -> Tensor:
    """Column j of a row's map: its own times D[j] c[j], and those of its source times R[i, j] c[j]."""
    edited = torch.zeros_like(maps)
    for n, row in enumerate(cross.kept.tolist()):
        edited[row] += maps[row] * cross.Dc[n, :, 0]
    for n, row in enumerate(cross.injected.tolist()):
        source = int(cross.rows[cross.injected_at[n]])
        for j in range(TOKENS):
            edited[row, ..., j] += sum(cross.Rc[n, i, j] * maps[source, ..., i] for i in range(TOKENS))
    return edited


@torch.no_grad()
def test_self_attention_takes_its_sources_maps(hidden: Tensor, draw: torch.Generator) -> None:
    attention, source = layer(cross=False), [0, 0, 2, 2, 5, 5]
    maps, values = maps_and_values(attention, hidden, hidden)
    expected = joined(attention, maps[source] @ values)
    routing = SelfRouting(torch.tensor([0, 2, 5]), torch.tensor([0, 0, 1, 1, 2, 2]))
    cross = own_and_taken({}, [0], draw)
    assert torch.allclose(injected(attention, Injected(cross, routing), hidden), expected, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("spare", [0, 2])
@pytest.mark.parametrize(
    ("source", "own"),
    [
        ({1: 0, 3: 2, 4: 2}, [0, 2, 5]),  # source, edit, source, edit, edit, unconditional
        ({1: 0, 3: 2, 4: 2}, [0, 1, 2, 4, 5]),  # two of the edits keep columns of their own
        ({}, [0, 1, 2, 3, 4, 5]),  # nothing taken: weights alone
        ({1: 0, 2: 0, 3: 0, 4: 0, 5: 0}, [0]),
    ],
)
def test_cross_attention_is_the_edit_of_the_maps(
    source: dict[int, int], own: list[int], spare: int, hidden: Tensor, context: Tensor, draw: torch.Generator
) -> None:
    attention, cross = layer(cross=True), own_and_taken(source, own, draw, spare)
    maps, values = maps_and_values(attention, hidden, context)
    expected = joined(attention, edited_maps(maps, cross) @ values)
    assert torch.allclose(
        injected(attention, Injected(cross, everybody()), hidden, context), expected, atol=1e-5
    )


@torch.no_grad()
def test_queries_and_keys_are_projected_where_they_are_used(
    hidden: Tensor, context: Tensor, draw: torch.Generator
) -> None:
    attention, projected = layer(cross=True), []
    for part in (attention.to_q, attention.to_k, attention.to_v):
        part.register_forward_pre_hook(lambda _, given: projected.append(len(given[0])))
    injected(
        attention, Injected(own_and_taken({1: 0, 2: 0, 3: 0}, [0, 5], draw), everybody()), hidden, context
    )
    assert sorted(projected) == [2, 2, ROWS]


@torch.no_grad()
def test_pieces_make_joint_attention(hidden: Tensor, context: Tensor, draw: torch.Generator) -> None:
    """As the module's docstring has it, for the queries of the pixels."""
    joint, heads = layer(cross=False), 3
    text = torch.randn((ROWS, TOKENS, WIDTH), generator=draw)
    both = torch.cat([hidden, text], 1)
    source = {1: 0, 3: 2, 4: 2}
    cross = own_and_taken(source, [0, 2, 4, 5], draw)

    maps, values = maps_and_values(joint, both, both)
    text_columns = edited_maps(maps[:, :, :PIXELS, PIXELS:], cross)
    expected = torch.cat([maps[:, :, :PIXELS, :PIXELS], text_columns], -1) @ values

    q, k, v = (split(projection(both), heads) for projection in (joint.to_q, joint.to_k, joint.to_v))
    v_pixels, v_text = v[:, :, :PIXELS], v[:, :, PIXELS:]
    kept = torch.zeros_like(v_text).index_add(0, cross.kept, kept_values(v_text, cross))
    out = join(attention(q, k, torch.cat([v_pixels, kept], 2)))
    sources = cross.rows[cross.injected_at]
    zeros = torch.zeros_like(v_pixels[cross.injected])
    taken = attention(q[sources], k[sources], torch.cat([zeros, injected_values(v_text, cross)], 2))
    out = out.index_add(0, cross.injected, join(taken))
    assert torch.allclose(out[:, :PIXELS], join(expected), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("words", [1, 5, 20])
def test_words_are_watched_where_the_map_has_the_size(
    words: int, hidden: Tensor, context: Tensor, draw: torch.Generator
) -> None:
    attention, cross = layer(cross=True), own_and_taken({1: 0, 3: 2}, [0, 2, 4, 5], draw)
    maps, _ = maps_and_values(attention, hidden, context)
    columns = torch.rand((2, TOKENS, words), generator=draw)
    sums = (torch.ones(2, PIXELS, words), torch.ones(2, PIXELS * 4, words))
    routing = Injected(cross, everybody(), ColumnSums(torch.tensor([1, 3]), columns, sums))
    for _ in range(2):
        injected(attention, routing, hidden, context)
    expected = 1 + 2 * maps[[2, 5]].mean(1) @ columns
    assert torch.allclose(sums[0], expected, atol=1e-5)
    assert (sums[1] == 1).all()
