from __future__ import annotations

import pytest

import p2p
from p2p.inversion.inversion_registry import METHODS
from p2p.sweep.request import INVERSIONS


def test_requests_know_the_methods() -> None:
    assert set(METHODS) == set(INVERSIONS)


def test_an_unknown_inversion_is_named() -> None:
    with pytest.raises(p2p.P2PError, match="inversion 'edict' is unknown; there are direct, ddim"):
        p2p.SweepRequest("a", "b", inversion="edict")
