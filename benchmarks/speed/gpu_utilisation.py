"""Share of a GPU's peak that sweeps of Stable Diffusion 1.5 (512 pixels) and XL (1024) reach.

The models have the published shapes and random weights, in bf16 and compiled. It measures a whole `sweep_many` with VAE
and CLIP (TFLOP/s, against a dense matrix product of the same precision in the same run), a profile of the operations
that take longest, and the comparison of `benchmarks.speed.sweep_speed`. Without CUDA it ends with status 2.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import diffusers
import torch
import transformers
from rich.console import Console
from torch.profiler import ProfilerActivity, profile

import filters
import p2p
from benchmarks.common.markdown import markdown_table
from benchmarks.common.results_file import write_section
from benchmarks.speed.random_models import random_clip, save_sd15, save_sdxl
from benchmarks.speed.sweep_speed import Cell, measure, table, taus

SOURCE, TARGET = "a photo of a red ball on grass by day", "a photo of a blue ball on grass by day"
TITLE = "On a GPU (`make bench-gpu`)"


@dataclass(frozen=True)
class Shape:
    """A published model: how it is saved, its pixels, and the TFLOP of one row of its U-Net at that size."""

    name: str
    save: Callable[[Path, int], Path]
    resolution: int
    tflop: float


SHAPES = {
    shape.name: shape for shape in (Shape("sd15", save_sd15, 512, 0.80), Shape("sdxl", save_sdxl, 1024, 6.76))
}


@dataclass(frozen=True)
class Whole:
    """A whole ``sweep_many``, with VAE and CLIP.

    Attributes:
        rows: of trajectories; rows that only fill up a batch are not among them.
        padding: those.
        seconds: from the requests to the scores.
        denoising: of them, from noise to final latents.
        scoring: of them, in CLIP; the rest goes into prompts, the VAE and the copies of images.
        tflop: of a row.
        peak: TFLOP/s of a dense matrix product.
    """

    rows: int
    padding: int
    seconds: float
    denoising: float
    scoring: float
    tflop: float
    peak: float

    @property
    def achieved(self) -> float:
        """TFLOP/s of the rows alone, over all of the time."""
        return self.rows * self.tflop / self.seconds

    @property
    def denoiser(self) -> float:
        """TFLOP/s of all rows, padding included, over the time spent in denoising."""
        return (self.rows + self.padding) * self.tflop / self.denoising

    def line(self, name: str) -> list[str]:
        return [
            name,
            f"{self.rows:,}",
            f"{self.seconds:.1f}",
            f"{self.achieved:.0f}",
            f"{self.achieved / self.peak:.0%}",
            f"{self.denoiser / self.peak:.0%}",
            f"{self.denoising / self.seconds:.0%}",
            f"{self.scoring / self.seconds:.0%}",
            f"{self.padding / (self.rows + self.padding):.1%}",
        ]


COLUMNS = (
    "model",
    "rows",
    "seconds",
    "TFLOP/s",
    "of the peak",
    "denoiser, of the peak",
    "denoising",
    "CLIP",
    "padding",
)


def dense_peak(device: str, dtype: torch.dtype, size: int = 8192, repeats: int = 50) -> float:
    """TFLOP/s of the fastest of three rounds of products of two square matrices."""
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(4):  # the first one warms up
        _wait(device)
        started = time.perf_counter()
        for _ in range(repeats):
            a @ b
        _wait(device)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 * repeats / best / 1e12


def requests(pairs: int, edits: int, steps: int) -> list[p2p.SweepRequest]:
    return [
        p2p.SweepRequest(SOURCE, TARGET, taus(edits), seed=seed, steps=steps, self_gain=0.5)
        for seed in range(pairs)
    ]


def render_and_score(
    editor: p2p.Editor, clip: filters.Clip, asked: Sequence[p2p.SweepRequest], batch_rows: int
) -> tuple[int, float]:
    """Rows of trajectories, and the seconds that scoring took."""
    sweeps = editor.sweep_many(asked, batch_rows)
    started = time.perf_counter()
    edits = [edit for sweep in sweeps for edit in sweep.edits]
    clip.score(
        [sweep.source for sweep in sweeps for _ in sweep.edits],
        edits,
        [SOURCE] * len(edits),
        [TARGET] * len(edits),
    )
    return sum(sweep.rows for sweep in sweeps), time.perf_counter() - started


def whole(
    editor: p2p.Editor,
    clip: filters.Clip,
    asked: Sequence[p2p.SweepRequest],
    batch_rows: int,
    tflop: float,
    peak: float,
) -> Whole:
    """Once for the compiler, and then with the clock."""
    render_and_score(editor, clip, asked, batch_rows)
    padding, denoising = editor.usage.padding, editor.usage.seconds
    started = time.perf_counter()
    rows, scoring = render_and_score(editor, clip, asked, batch_rows)
    # Scores and images have come to the CPU: the device is done as well.
    seconds = time.perf_counter() - started
    usage = editor.usage
    return Whole(rows, usage.padding - padding, seconds, usage.seconds - denoising, scoring, tflop, peak)


def profiled(
    editor: p2p.Editor, clip: filters.Clip, asked: Sequence[p2p.SweepRequest], batch_rows: int, device: str
) -> str:
    """The profiler's table of the operations that took the device longest."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with profile(activities=activities) as profiler:
        render_and_score(editor, clip, asked, batch_rows)
        _wait(device)
    key = "self_device_time_total" if device == "cuda" else "self_cpu_time_total"
    drawn: str = profiler.key_averages().table(sort_by=key, row_limit=20, max_name_column_width=60)
    return drawn


def section(device: str, wholes: dict[str, Whole], cells: dict[str, list[Cell]], how: str) -> str:
    """The text of RESULTS.md's section."""
    peak = next(iter(wholes.values())).peak
    compared = [
        [name, str(c.edits), str(c.steps), c.way, f"{c.rows:,}", f"{c.seconds:.2f}", f"{c.peak:.0f}"]
        for name, of_model in cells.items()
        for c in of_model
    ]
    return (
        f"{device}; random weights, {how}. A dense matrix product reaches {peak:.0f} TFLOP/s in the same run. TFLOP/s "
        "count "
        + ", ".join(f"{one.tflop:.2f} TFLOP a row of {name}" for name, one in wholes.items())
        + ", over a whole sweep_many with VAE and CLIP (ViT-L-14).\n\n"
        + markdown_table(COLUMNS, [one.line(name) for name, one in wholes.items()])
        + "\n\nThe same sweep by four methods; a method that runs out of memory is left out:\n\n"
        + markdown_table(["model", "K", "steps", "way", "rows", "seconds", "peak MiB"], compared)
    )


def main() -> int:
    """Measures on the GPU there is; 2 where there is none."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.gpu_utilisation", description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--folder", type=Path, default=Path("runs"), help="where the models are saved")
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--edits", type=int, default=9)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batch-rows", type=int, default=32)
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float16", "float32"))
    parser.add_argument("--compile", default="default", choices=("none", "default", "max-autotune"))
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print(
            "benchmarks.speed.gpu_utilisation: there is no CUDA device here, and it measures one",
            file=sys.stderr,
        )
        return 2
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
    device, dtype, console = "cuda", getattr(torch, options.dtype), Console(width=140)
    peak, clip = dense_peak(device, dtype), random_clip("ViT-L-14", device)
    wholes: dict[str, Whole] = {}
    cells: dict[str, list[Cell]] = {}
    asked = requests(options.pairs, options.edits, options.steps)
    for shape in (SHAPES[name] for name in options.models):
        folder = shape.save(options.folder / f"{shape.name}-{shape.resolution}", shape.resolution)
        editor = p2p.load(folder, device, dtype, compile=options.compile)
        wholes[shape.name] = whole(editor, clip, asked, options.batch_rows, shape.tflop, peak)
        # A few steps show where the time goes, and their trace is small.
        few = requests(options.pairs, options.edits, steps=4)
        console.print(profiled(editor, clip, few, options.batch_rows, device), markup=False)
        del editor
        torch.cuda.empty_cache()
        cells[shape.name] = list(
            measure(folder, options.edits, options.steps, 1.0, 1, device, dtype, options.compile)
        )
        console.print(table(f"{shape.name} at {shape.resolution} pixels", cells[shape.name]))
    how = f"{options.dtype}, compile {options.compile}, {options.batch_rows} rows a batch, {options.pairs} sweeps"
    text = section(torch.cuda.get_device_name(), wholes, cells, how)
    write_section(TITLE, text)
    console.print(text, markup=False)
    return 0


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    sys.exit(main())
