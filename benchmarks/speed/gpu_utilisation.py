"""Share of a GPU's peak that sweeps of SD 1.5 (512 pixels), SDXL, SD 3.5 medium and FLUX (1024) reach by default.

The models have the published shapes and random weights. Precision, layout and compilation are the defaults of a run. It
measures a whole `sweep_many` with VAE and CLIP (sweeps and images a second, TFLOP/s against a dense matrix product of
the same precision in the same run), a profile of the operations that take longest, and, in the same run, plain
generation with diffusers, eager and compiled. For the U-Nets it adds the comparison of `benchmarks.speed.sweep_speed`.
Without CUDA it ends with status 2.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import diffusers
import torch
import transformers
from torch.profiler import ProfilerActivity, profile

import filters
import p2p
from benchmarks.common.markdown import markdown_table
from benchmarks.common.results_file import publish
from benchmarks.speed import sweep_speed
from benchmarks.speed.random_models import random_clip, save_flux, save_sd15, save_sd35, save_sdxl
from benchmarks.speed.sweep_speed import SOURCE, TARGET, spread_taus


@dataclass(frozen=True)
class Shape:
    """A published model: how to save it, its pixels, the TFLOP of one row of its denoiser at that size, its sampler."""

    name: str
    save: Callable[[Path, int], Path]
    resolution: int
    tflop: float
    sampler: str = "ddim"

    @property
    def is_unet(self) -> bool:
        return self.sampler == "ddim"


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("sd15", save_sd15, 512, 0.80),
        Shape("sdxl", save_sdxl, 1024, 6.76),
        Shape("sd35", save_sd35, 1024, 11.25, "flow_match_euler"),
        Shape("flux", save_flux, 1024, 74.4, "flow_match_euler"),
    )
}


@dataclass(frozen=True)
class Plain:
    """Plain generation by a diffusers pipeline: one batch of images without edits."""

    compile: str
    images: int
    seconds: float


@dataclass(frozen=True)
class SweepCost:
    """The cost of a whole ``sweep_many`` with VAE and CLIP.

    Attributes:
        sweeps: caption pairs, each one seed.
        images: that were decoded: sources and edits.
        rows: denoiser rows of trajectories, without padding.
        padding: rows that only fill up a batch.
        seconds: from the requests to the scores.
        denoising: seconds from noise to final latents.
        scoring: seconds in CLIP; the remainder goes into prompts, the VAE and copies of images.
        tflop: of one row.
        peak: TFLOP/s of a dense matrix product.
    """

    sweeps: int
    images: int
    rows: int
    padding: int
    seconds: float
    denoising: float
    scoring: float
    tflop: float
    peak: float

    @property
    def achieved(self) -> float:
        """TFLOP/s of the rows without padding, over all of the time."""
        return self.rows * self.tflop / self.seconds

    @property
    def denoiser(self) -> float:
        """TFLOP/s of all rows, padding included, over the time spent in denoising."""
        return (self.rows + self.padding) * self.tflop / self.denoising

    def shares(self) -> tuple[float, ...]:
        """Of the peak, of the peak by the denoiser, of the time in denoising and in CLIP, of the rows as padding."""
        return (
            self.achieved / self.peak,
            self.denoiser / self.peak,
            self.denoising / self.seconds,
            self.scoring / self.seconds,
            self.padding / (self.rows + self.padding),
        )


COLUMNS = (
    *(
        "model",
        "sweeps/s:.3f",
        "images/s:.2f",
        "rows:,",
        "seconds:.1f",
        "TFLOP/s:.0f",
        "of the peak:.0%",
        "denoiser, of the peak:.0%",
    ),
    *("denoising:.0%", "CLIP:.0%", "padding:.1%"),
)


def requests(pairs: int, edits: int, steps: int, sampler: str = "ddim") -> list[p2p.SweepRequest]:
    """One request a caption pair; pairs differ by their seed."""
    taus = spread_taus(edits)
    return [
        p2p.SweepRequest(SOURCE, TARGET, taus, seed=k, steps=steps, self_gain=0.5, sampler=sampler)
        for k in range(pairs)
    ]


def dense_peak(device: str, dtype: torch.dtype, size: int = 8192, repeats: int = 50) -> float:
    """TFLOP/s of products of two square matrices, the fastest of three rounds."""
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    fastest = float("inf")
    for _ in range(4):  # the first one warms up
        _synchronise(device)
        started = time.perf_counter()
        for _ in range(repeats):
            a @ b
        _synchronise(device)
        fastest = min(fastest, time.perf_counter() - started)
    return 2 * size**3 * repeats / fastest / 1e12


def render_and_score(
    editor: p2p.Editor, clip: filters.Clip, sweep_requests: Sequence[p2p.SweepRequest], batch_rows: int
) -> tuple[int, float]:
    """Render the sweeps and score them; returns the rows of trajectories and the seconds of scoring."""
    sweeps = editor.sweep_many(sweep_requests, batch_rows)
    started = time.perf_counter()
    edits = [edit for sweep in sweeps for edit in sweep.edits]
    sources = [sweep.source for sweep in sweeps for _ in sweep.edits]
    clip.score(sources, edits, [SOURCE] * len(edits), [TARGET] * len(edits))
    return sum(sweep.rows for sweep in sweeps), time.perf_counter() - started


def measure(
    editor: p2p.Editor,
    clip: filters.Clip,
    sweep_requests: Sequence[p2p.SweepRequest],
    batch_rows: int,
    tflop: float,
    peak: float,
) -> SweepCost:
    """Time the sweeps once, after one run for the compiler."""
    render_and_score(editor, clip, sweep_requests, batch_rows)
    padding, denoising = editor.usage.padding, editor.usage.seconds
    started = time.perf_counter()
    rows, scoring = render_and_score(editor, clip, sweep_requests, batch_rows)
    # Scores and images are on the CPU, so the device has finished too.
    seconds = time.perf_counter() - started
    usage = editor.usage
    sweeps, images = len(sweep_requests), sum(1 + len(request.taus) for request in sweep_requests)
    return SweepCost(
        sweeps,
        images,
        rows,
        usage.padding - padding,
        seconds,
        usage.seconds - denoising,
        scoring,
        tflop,
        peak,
    )


def plain_generation(
    folder: Path, device: str, dtype: torch.dtype, steps: int, images: int, compile: str
) -> Plain:
    """Time a batch of images by the model's own pipeline, after one run for the compiler."""
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, torch_dtype=dtype).to(device)
    pipeline.set_progress_bar_config(disable=True)
    if compile != "none":
        network = getattr(pipeline, "unet", None) or pipeline.transformer
        network.compile(fullgraph=True, mode=compile)
    seconds = 0.0
    for _ in range(2):
        _synchronise(device)
        started = time.perf_counter()
        pipeline([SOURCE] * images, num_inference_steps=steps, output_type="np")
        _synchronise(device)
        seconds = time.perf_counter() - started
    return Plain(compile, images, seconds)


def profile_operations(
    editor: p2p.Editor,
    clip: filters.Clip,
    sweep_requests: Sequence[p2p.SweepRequest],
    batch_rows: int,
    device: str,
) -> str:
    """The profiler's table of the operations that took the device longest."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with profile(activities=activities) as profiler:
        render_and_score(editor, clip, sweep_requests, batch_rows)
        _synchronise(device)
    key = "self_device_time_total" if device == "cuda" else "self_cpu_time_total"
    operations: str = profiler.key_averages().table(sort_by=key, row_limit=20, max_name_column_width=60)
    return operations


def section(
    device: str,
    costs: Mapping[str, SweepCost],
    plain: Mapping[str, Sequence[Plain]],
    timings: Mapping[str, Sequence[sweep_speed.Timing]],
    settings: str,
) -> str:
    """The text of the section in RESULTS.md."""
    peak = next(iter(costs.values())).peak
    tflop = ", ".join(f"{cost.tflop:.2f} TFLOP a row of {name}" for name, cost in costs.items())
    records = [
        (name, c.sweeps / c.seconds, c.images / c.seconds, c.rows, c.seconds, c.achieved, *c.shares())
        for name, c in costs.items()
    ]
    generated = [
        (name, p.compile, p.images, p.seconds, p.images / p.seconds) for name, of in plain.items() for p in of
    ]
    compared = [
        (name, t.edits, t.steps, t.method, t.rows, t.seconds, t.peak)
        for name, of_model in timings.items()
        for t in of_model
    ]
    return (
        f"{device}; random weights, {settings}. A dense matrix product reaches {peak:.0f} TFLOP/s in the same run. "
        f"TFLOP/s count {tflop}, over a whole sweep_many with VAE and CLIP (ViT-L-14).\n\n"
        + markdown_table(COLUMNS, records)
        + "\n\nPlain generation by the pipelines of diffusers, one batch without edits, in the same run:\n\n"
        + markdown_table(["model", "compile", "images:,", "seconds:.2f", "images/s:.2f"], generated)
        + "\n\nThe same sweep by four methods; a method that runs out of memory is left out:\n\n"
        + markdown_table(["model", "K", "steps", "method", "rows:,", "seconds:.2f", "peak MiB:.0f"], compared)
    )


def main() -> int:
    """Measure on the GPU and write the section; returns 2 without CUDA."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.gpu_utilisation", description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--folder", type=Path, default=Path("runs"), help="where the models are saved")
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--edits", type=int, default=9)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batch-rows", type=int, default=32)
    parser.add_argument("--dtype", default="auto", choices=("auto", "bfloat16", "float16", "float32"))
    parser.add_argument("--compile", default="auto", choices=("auto", "none", "default", "max-autotune"))
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("benchmarks.speed.gpu_utilisation needs a CUDA device; none is available", file=sys.stderr)
        return 2
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
    device, clip = "cuda", random_clip("ViT-L-14", "cuda")
    costs: dict[str, SweepCost] = {}
    plain: dict[str, list[Plain]] = {}
    timings: dict[str, list[sweep_speed.Timing]] = {}
    for shape in (SHAPES[name] for name in options.models):
        folder = shape.save(options.folder / f"{shape.name}-{shape.resolution}", shape.resolution)
        editor = p2p.load(folder, device, options.dtype, compile=options.compile)
        dtype = editor.family.dtype
        timed = requests(options.pairs, options.edits, options.steps, shape.sampler)
        peak = dense_peak(device, dtype)
        costs[shape.name] = measure(editor, clip, timed, options.batch_rows, shape.tflop, peak)
        # A few steps are enough for the profile, and keep its trace small.
        short = requests(options.pairs, options.edits, 4, shape.sampler)
        print(profile_operations(editor, clip, short, options.batch_rows, device))
        del editor
        torch.cuda.empty_cache()
        plain[shape.name] = []
        for mode in ("none", "default"):
            images = options.batch_rows // 2 if shape.is_unet else options.batch_rows // 4
            plain[shape.name].append(plain_generation(folder, device, dtype, options.steps, images, mode))
            torch.cuda.empty_cache()
        if shape.is_unet:
            timings[shape.name] = list(
                sweep_speed.measure(folder, options.edits, options.steps, 1.0, 1, device, dtype, "default")
            )
            print(f"{shape.name} at {shape.resolution} pixels\n\n{sweep_speed.table(timings[shape.name])}")
    settings = f"{options.dtype}, compile {options.compile}, {options.batch_rows} rows a batch, {options.pairs} sweeps"
    text = section(torch.cuda.get_device_name(), costs, plain, timings, settings)
    publish("GPU", "benchmarks.speed.gpu_utilisation", text)
    return 0


def _synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    sys.exit(main())
