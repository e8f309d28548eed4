"""Peak memory of one layer of injected self-attention, ours against materialised maps.

The layer is the first one of Stable Diffusion 1 at 512 pixels: 64×64 latents, heads of 40 channels, a source and 8
edits, conditional and unconditional. With ``--heads 1`` of its 8 heads it fits into a small machine; both forms take
the same memory for every head. Each form runs in a process of its own, after a small run that allocates what libraries
allocate once.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor

from benchmarks.common.markdown import markdown_table
from benchmarks.common.peak_memory import with_peak
from benchmarks.speed.reference_sweeps import MaterialisedAttention
from p2p.attention.processor import InjectedAttention
from p2p.attention.routing import CrossRouting, Injected, SelfRouting

HEAD = 40


def ours(layer: Attention, hidden: Tensor, source: list[int]) -> Tensor:
    """The layer with the source's queries and keys, without maps."""
    device, rows = hidden.device, sorted(set(source))
    at = torch.tensor([rows.index(row) for row in source], device=device)
    none = torch.zeros(0, dtype=torch.int64, device=device)
    unused = CrossRouting(none, none, none, hidden[:0, :1, :1], none, none, hidden[:0, :1, :1])
    processor = InjectedAttention()
    processor.routing = Injected(unused, SelfRouting(torch.tensor(rows, device=device), at))
    layer.set_processor(processor)
    return layer(hidden)


def materialised(layer: Attention, hidden: Tensor, source: list[int]) -> Tensor:
    """The layer with maps of all rows in memory; the source's maps overwrite those of its edits."""
    edits = [row for row, source_row in enumerate(source) if source_row != row]
    processor = MaterialisedAttention()
    processor.self_attention = [source[row] for row in edits], edits
    layer.set_processor(processor)
    return layer(hidden)


FORMS = {"ours": ours, "materialised": materialised}


@torch.inference_mode()
def measure(form: str, side: int, heads: int, edits: int) -> tuple[float, Tensor]:
    """MiB at the peak, and a part of the output for comparison."""
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    layer = Attention(heads * HEAD, heads=heads, dim_head=HEAD).eval().to(device)
    guided = [0] * (1 + edits)
    source = [*guided, *(len(guided) + row for row in guided)]
    hidden = torch.randn(len(source), side**2, heads * HEAD, device=device)
    FORMS[form](layer, hidden[:2], [0, 0])  # allocates what libraries allocate once
    out, peak = with_peak(lambda: FORMS[form](layer, hidden, source))
    return peak, out[:, ::97].cpu()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.attention_memory", description=__doc__)
    parser.add_argument("--side", type=int, default=64, help="of the latents")
    parser.add_argument("--heads", type=int, default=8, help="of 40 channels")
    parser.add_argument("--edits", type=int, default=8, help="beside the source")
    options = parser.parse_args()
    peaks, outputs = {}, {}
    for form in FORMS:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            result = process.submit(measure, form, options.side, options.heads, options.edits)
            peaks[form], outputs[form] = result.result()
    torch.testing.assert_close(outputs["ours"], outputs["materialised"], atol=1e-4, rtol=1e-4)
    records = [(form, peak, f"1/{peaks['materialised'] / peak:.0f}") for form, peak in peaks.items()]
    print(markdown_table(["form", "peak, MiB:,.0f", "of the materialised"], records))


if __name__ == "__main__":
    main()
