"""One layer of joint attention: two fused calls with mixed values, against edited maps in memory."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from p2p.attention.joint_injection import joint_attention, make_joint_routing
from p2p.attention.routing import ColumnSums, CrossRouting, Injected, SelfRouting

HEADS, PIXELS, TOKENS, WIDTH = 2, 9, 5, 8


@st.composite
def rows(draw: st.DrawFn) -> list[tuple[int, bool, str]]:
    """For each row its source, whether its pixels attend like the source's, and what is injected of the text."""
    found: list[tuple[int, bool, str]] = []
    for k in range(draw(st.integers(1, 6))):
        sources = [i for i, (source, pixels, text) in enumerate(found) if source == i and not pixels]
        source = draw(st.sampled_from([*sources, k]))
        text = draw(st.sampled_from(["none", "taken", "both", "kept"] if source != k else ["none"]))
        found.append((source, source != k and draw(st.booleans()), text))
    return found


def routing_of(rows: list[tuple[int, bool, str]], R: Tensor, D: Tensor, repeated: bool) -> Injected:
    """As the router makes it: only rows whose maps are used, and rows with nothing where lengths have to be two."""
    used = sorted({k for k, (_, _, text) in enumerate(rows) if text != "taken"} | {row[0] for row in rows})
    place = {row: k for k, row in enumerate(used)}
    own = [k for k, (_, _, text) in enumerate(rows) if text != "taken"]
    edited = [k for k, (_, _, text) in enumerate(rows) if text in ("taken", "both")]
    source = [rows[k][0] for k in edited]
    Dc = [torch.ones(TOKENS, 1) if rows[k][2] == "none" else D[k][:, None] for k in own]
    Rc = [R[k] for k in edited]
    if repeated:
        own, Dc = [*own, *own[:1]], [*Dc, *(torch.zeros(TOKENS, 1) for _ in own[:1])]
        edited, source = edited or [0], source or [used[0]]
        edited, source = [*edited, edited[0]], [*source, source[0]]
        Rc += [torch.zeros(TOKENS, TOKENS)] * (len(edited) - len(Rc))
    pixels = [row[0] if row[1] else k for k, row in enumerate(rows)]
    queried = sorted(set(pixels))
    return Injected(
        CrossRouting(
            rows=torch.tensor(used),
            kept=torch.tensor(own, dtype=torch.int64),
            kept_at=torch.tensor([place[k] for k in own], dtype=torch.int64),
            Dc=torch.stack(Dc) if Dc else torch.zeros(0, TOKENS, 1),
            injected=torch.tensor(edited, dtype=torch.int64),
            injected_at=torch.tensor([place[k] for k in source], dtype=torch.int64),
            Rc=torch.stack(Rc) if Rc else torch.zeros(0, TOKENS, TOKENS),
        ),
        SelfRouting(torch.tensor(queried), torch.tensor([queried.index(k) for k in pixels])),
    )


@given(rows(), st.integers(0, 2**31), st.booleans())
def test_it_is_the_edit_of_the_maps(rows: list[tuple[int, bool, str]], seed: int, repeated: bool) -> None:
    draw = torch.Generator().manual_seed(seed)
    B = len(rows)
    q, k, v = (torch.randn(B, HEADS, PIXELS + TOKENS, WIDTH, generator=draw) for _ in range(3))
    R, D = torch.randn(B, TOKENS, TOKENS, generator=draw), torch.randn(B, TOKENS, generator=draw)
    maps = torch.softmax(q[:, :, :PIXELS] @ k.transpose(-1, -2) / WIDTH**0.5, -1)
    edited = maps.clone()
    for row, (source, pixels, text) in enumerate(rows):
        if pixels:
            edited[row, ..., :PIXELS] = maps[source, ..., :PIXELS]
        for j in range(TOKENS):
            own = maps[row, ..., PIXELS + j]
            given = sum(R[row, i, j] * maps[source, ..., PIXELS + i] for i in range(TOKENS))
            edited[row, ..., PIXELS + j] = {
                "none": own,
                "taken": given,
                "kept": D[row, j] * own,
                "both": given + D[row, j] * own,
            }[text]
    routing = make_joint_routing(routing_of(rows, R, D, repeated))
    out = joint_attention(q[routing.queries][:, :, :PIXELS], k, v, routing)
    assert torch.allclose(out, edited @ v, atol=1e-5)


@given(rows())
def test_rows_whose_maps_are_not_used_have_no_queries(rows: list[tuple[int, bool, str]]) -> None:
    R, D = torch.rand(len(rows), TOKENS, TOKENS) + 0.1, torch.rand(len(rows), TOKENS) + 0.1
    routing = make_joint_routing(routing_of(rows, R, D, repeated=False))
    held = {k for k, (_, pixels, text) in enumerate(rows) if pixels and text == "taken"}
    assert set(routing.queries.tolist()) == set(range(len(rows))) - held


def test_words_are_watched_among_all_columns() -> None:
    """The source and an edit that keeps nothing of its own are both watched, each under its own maps."""
    draw = torch.Generator().manual_seed(0)
    rows = [(0, False, "none"), (0, True, "taken"), (2, False, "none")]
    q, k, v = (torch.randn(3, HEADS, PIXELS + TOKENS, WIDTH, generator=draw) for _ in range(3))
    plain = routing_of(rows, torch.rand(3, TOKENS, TOKENS), torch.ones(3, TOKENS), repeated=False)
    cross = plain.cross
    # The router lists watched rows among those whose maps are used.
    everyone = CrossRouting(
        torch.arange(3), cross.kept, cross.kept, cross.Dc, cross.injected, torch.tensor([0]), cross.Rc
    )
    columns, sums = torch.rand(2, TOKENS, 3, generator=draw), torch.ones(2, PIXELS, 3)
    watch = ColumnSums(torch.tensor([1, 0]), columns, (sums,))
    routing = make_joint_routing(Injected(everyone, plain.self_attention, watch))
    out = joint_attention(q[routing.queries][:, :, :PIXELS], k, v, routing)
    maps = torch.softmax(q[:, :, :PIXELS] @ k.transpose(-1, -2) / WIDTH**0.5, -1)
    for w, row in enumerate((1, 0)):
        expected = 1 + (maps[row, ..., PIXELS:] @ columns[w]).mean(0)
        assert torch.allclose(sums[w], expected, atol=1e-5)
    unwatched = make_joint_routing(Injected(everyone, plain.self_attention))
    same = joint_attention(q[unwatched.queries][:, :, :PIXELS], k, v, unwatched)
    assert torch.allclose(out, same, atol=1e-6)
