from __future__ import annotations

import pytest
import torch

from p2p.samplers.sampler import State, per_row, stack, unstack


@pytest.mark.parametrize("multistep", [False, True])
def test_unstacked_rows_are_those_that_were_stacked(multistep: bool) -> None:
    rows = torch.randn((3, 2, 4, 5, 6), generator=torch.Generator().manual_seed(0))
    states = [State(x, last if multistep else None) for x, last in rows]
    stacked = stack(states)
    assert stacked.x.shape == (3, 4, 5, 6)
    assert (stacked.denoised is not None) == multistep
    for before, after in zip(states, unstack(stacked), strict=True):
        assert torch.equal(before.x, after.x)
        if multistep:
            assert torch.equal(before.denoised, after.denoised)
        else:
            assert after.denoised is None


def test_each_row_gets_the_entry_of_its_own_step() -> None:
    table = torch.tensor([10.0, 20.0, 30.0])
    entries = per_row(table, torch.tensor([2, 0, 2, 1]))
    assert entries.shape == (4, 1, 1, 1)
    assert entries.flatten().tolist() == [30.0, 10.0, 30.0, 20.0]
