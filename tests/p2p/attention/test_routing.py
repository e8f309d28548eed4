"""Batches of rows, routed to the maps of their sources, against maps that are materialised row by row.

All is float64, so both sides agree to 1e-12 however they order their sums.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from p2p.attention.processor import add_column_sums, injected_cross, injected_self, join
from p2p.attention.routing import MIN_DYNAMIC_LENGTH, PLAIN, Injected, Mixing, RowAttention, make_routing

HEADS, PIXELS, TOKENS, WIDTH, COLUMNS = 2, 5, 4, 3, 3
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Batch:
    """Rows with their queries (B, H, P, d), keys and values of text and of pixels (B, H, S or P, d)."""

    rows: list[RowAttention]
    padding: int
    q: Tensor
    k_text: Tensor
    v_text: Tensor
    k_pixels: Tensor
    v_pixels: Tensor

    def routing(self, compiled: bool = False) -> Injected | None:
        return make_routing(self.rows, self.padding, TOKENS, CPU, torch.float64, compiled)

    def maps(self, row: int, k: Tensor) -> Tensor:
        """The maps (H, P, columns) of a row's queries and keys."""
        return torch.softmax(self.q[row] @ k[row].mT / WIDTH**0.5, -1)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Sources, each with edits that take any of its maps, or none, and rows without a source of their own."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    rows: list[RowAttention] = []

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    def summed(row: RowAttention) -> RowAttention:
        if not draw(st.booleans()):
            return row
        columns, sums = random(TOKENS, COLUMNS), random(PIXELS, COLUMNS)
        return RowAttention(row.self_source, row.cross_source, row.mixing, columns, sums)

    for _ in range(draw(st.integers(1, 3))):
        source = len(rows)
        rows.append(summed(RowAttention(source, source)))
        for _ in range(draw(st.integers(0, 3))):
            takes = draw(st.sampled_from(["", "R", "D", "RD"]))
            mixing = Mixing(
                random(TOKENS, TOKENS) if "R" in takes else None, random(TOKENS, 1) if "D" in takes else None
            )
            self_source = source if draw(st.booleans()) else len(rows)
            rows.append(summed(RowAttention(self_source, source, mixing if takes else None)))
    padding = draw(st.integers(0, 2))
    B = len(rows) + padding
    shapes = [PIXELS, TOKENS, TOKENS, PIXELS, PIXELS]
    return Batch(rows, padding, *(random(B, HEADS, length, WIDTH) for length in shapes))


def edited_cross(batch: Batch, k: int) -> Tensor:
    """The edited maps of row k (Hertz et al. 2022, section 3.2), as R diag(c) and D diag(c) mix the two maps."""
    row, own = batch.rows[k], batch.maps(k, batch.k_text)
    if row.mixing is None:
        return own
    edited = torch.zeros_like(own)
    if row.mixing.Dc is not None:
        edited = edited + own * row.mixing.Dc[:, 0]
    if row.mixing.Rc is not None:
        edited = edited + batch.maps(row.cross_source, batch.k_text) @ row.mixing.Rc
    return edited


@settings(max_examples=60)
@given(batches(), st.booleans())
def test_every_row_has_the_maps_of_its_source(batch: Batch, compiled: bool) -> None:
    routing = batch.routing(compiled)
    if routing is None:
        return
    cross, pixels = routing.cross, routing.self_attention
    out = injected_self(batch.q[pixels.rows], batch.k_pixels[pixels.rows], batch.v_pixels, pixels)
    for k, row in enumerate(batch.rows):
        expected = batch.maps(row.self_source, batch.k_pixels) @ batch.v_pixels[k]
        assert torch.allclose(out[k], join(expected[None])[0], atol=1e-12)
    out = injected_cross(batch.q[cross.rows], batch.k_text[cross.rows], batch.v_text, cross)
    for k in range(len(batch.rows)):
        expected = edited_cross(batch, k) @ batch.v_text[k]
        assert torch.allclose(out[k], join(expected[None])[0], atol=1e-12)
    assert (out[len(batch.rows) :] == 0).all(), "padding has no term"


@settings(max_examples=60)
@given(batches(), st.data(), st.booleans())
def test_layers_over_a_row_s_limit_keep_its_own_self_attention(
    batch: Batch, data: st.DataObject, compiled: bool
) -> None:
    limits = [data.draw(st.sampled_from([3, PIXELS, 9, math.inf])) for _ in batch.rows]
    rows = [replace(row, self_limit=limit) for row, limit in zip(batch.rows, limits, strict=True)]
    routing = make_routing(rows, batch.padding, TOKENS, CPU, torch.float64, compiled)
    if routing is None:
        return
    pixels = routing.self_routing(PIXELS)
    out = injected_self(batch.q[pixels.rows], batch.k_pixels[pixels.rows], batch.v_pixels, pixels)
    for k, row in enumerate(rows):
        maps = batch.maps(row.self_source if row.self_limit >= PIXELS else k, batch.k_pixels)
        assert torch.allclose(out[k], join((maps @ batch.v_pixels[k])[None])[0], atol=1e-12)


@settings(max_examples=60)
@given(batches(), st.booleans())
def test_columns_of_a_row_s_own_maps_are_summed(batch: Batch, compiled: bool) -> None:
    summed = [k for k, row in enumerate(batch.rows) if row.columns is not None]
    compiled = compiled and len(summed) >= MIN_DYNAMIC_LENGTH
    before = [row.sums.clone() for row in batch.rows if row.sums is not None]
    routing = batch.routing(compiled)
    if not summed:
        assert routing is None or routing.column_sums is None
        return
    assert routing is not None
    assert routing.column_sums is not None
    rows = routing.cross.rows
    add_column_sums(batch.q[rows], batch.k_text[rows], routing.column_sums)
    (sums,) = routing.column_sums.sums
    for n, k in enumerate(summed):
        own = batch.maps(k, batch.k_text).float().mean(0).double()
        expected = before[n] + own @ batch.rows[k].columns
        assert torch.allclose(sums[n], expected, atol=1e-5)  # the sums are taken in fp32
        assert torch.equal(batch.rows[k].sums, before[n]), "another trajectory may use these sums"


@settings(max_examples=60)
@given(batches())
def test_only_the_maps_that_are_used_are_computed(batch: Batch) -> None:
    routing = batch.routing()
    if routing is None:
        return
    keeps = {k for k, row in enumerate(batch.rows) if row.mixing is None or row.mixing.Dc is not None}
    mixes = {row.cross_source for row in batch.rows if row.mixing is not None and row.mixing.Rc is not None}
    sums = {k for k, row in enumerate(batch.rows) if row.columns is not None}
    assert routing.cross.rows.tolist() == sorted(keeps | mixes | sums)
    assert routing.self_attention.rows.tolist() == sorted({row.self_source for row in batch.rows})


@settings(max_examples=30)
@given(batches())
def test_a_compiled_batch_has_no_length_of_0_or_1(batch: Batch) -> None:
    """The compiler makes a graph for each of these lengths."""
    routing = batch.routing(compiled=True)
    if routing is None:
        return
    lengths = {len(getattr(routing.cross, name)) for name in routing.cross.__dataclass_fields__}
    lengths.add(len(routing.self_attention.rows))
    assert min(lengths) >= MIN_DYNAMIC_LENGTH


@pytest.mark.parametrize("padding", [0, 3])
def test_rows_with_their_own_maps_are_a_plain_batch(padding: int) -> None:
    rows = [RowAttention(k, 0) for k in range(4)]
    assert make_routing(rows, padding, TOKENS, CPU, torch.float32) is PLAIN
