from __future__ import annotations

import torch

import p2p
from tests.p2p.sweep.test_inversion_barrier import waiting_plans


def test_what_is_found_serves_all_plans_of_an_image(sd1_editor: p2p.Editor) -> None:
    first, second = waiting_plans(sd1_editor, "null_text", "null_text")
    inversion = first.inversion
    assert inversion is not None
    assert inversion is second.inversion
    inversion.trajectory = torch.zeros(4, 4, 8, 8)
    with torch.inference_mode():
        optimised, shared = inversion.prepare(first), inversion.prepare(second)
    assert optimised.prepared_rows > 0 == shared.prepared_rows
    assert shared.unconditional is optimised.unconditional
