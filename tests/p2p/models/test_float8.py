"""Refusals of float8 where it cannot work."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import p2p
from p2p.models.float8 import use_float8
from tests import models


def test_a_unet_is_refused(sd1_folder: Path) -> None:
    with pytest.raises(p2p.ModelError, match="fp8 is for transformers"):
        p2p.load(sd1_folder, device="cpu", fp8=True)


def test_a_device_without_float8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(p2p.ModelError, match=r"fp8 needs a GPU of compute capability 8.9 or more"):
        p2p.load(models.save_flux(tmp_path / "flux"), device="cpu", fp8=True)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network answers as if it were on a Hopper."""

    class OnHopper(torch.nn.Linear):
        def parameters(self, recurse: bool = True):  # type: ignore[no-untyped-def]
            return iter([type("Weight", (), {"device": torch.device("cuda")})()])

    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setitem(sys.modules, "torchao", None)
    with pytest.raises(p2p.ModelError, match="fp8 needs torchao: pip install torchao"):
        use_float8(OnHopper(2, 2))
