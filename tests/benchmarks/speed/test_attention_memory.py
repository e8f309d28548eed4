from __future__ import annotations

import pytest
import torch
from diffusers.models.attention_processor import Attention

from benchmarks.speed.attention_memory import FORMS, HEAD, measure


def test_both_forms_compute_the_same_layer():
    side, heads, edits = 8, 2, 3
    results = {form: measure(form, side, heads, edits) for form in FORMS}
    outputs = [output for _, output in results.values()]
    torch.testing.assert_close(*outputs, atol=1e-4, rtol=1e-4)
    assert outputs[0].shape == (2 * (1 + edits), 1, heads * HEAD)
    assert all(peak >= 0 for peak, _ in results.values())


@pytest.mark.parametrize("form", FORMS)
@torch.inference_mode()
def test_only_edits_take_the_sources_maps(form: str):
    torch.manual_seed(0)
    layer = Attention(HEAD, heads=1, dim_head=HEAD).eval()
    hidden = torch.randn(2, 16, HEAD)
    alone, injected = FORMS[form](layer, hidden, [0, 1]), FORMS[form](layer, hidden, [0, 0])
    torch.testing.assert_close(injected[0], alone[0])
    assert (injected[1] - alone[1]).abs().max() > 1e-3
