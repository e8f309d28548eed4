"""Time, rows and memory of one sweep, beside three reference methods.

The methods are ours; InstructPix2Pix's procedure (a run for every τ, four rows a step); the form of
google/prompt-to-prompt and of diffusers' community pipeline (a source and K edits in one batch); and plain generation
of as many images, the cost of the pictures without Prompt-to-Prompt. Model, precision, prompts and threads are the
same. The methods take turns, so that a busy machine disturbs all of them alike; times are medians.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import diffusers
import torch
import transformers
from diffusers import DiffusionPipeline

import miniworld
import p2p
from benchmarks.common.markdown import markdown_table
from benchmarks.common.peak_memory import with_peak
from benchmarks.speed.random_models import save_sd15
from benchmarks.speed.reference_sweeps import Edits, Task, instructpix2pix, one_batch, plain

SOURCE, TARGET = "a photo of a red ball on grass by day", "a photo of a blue ball on grass by day"
OURS, MAPS = "ours", "one batch, maps"
# One batch of plain generation is as large as the largest of the others.
BATCH_ROWS = 32


@dataclass(frozen=True)
class Timing:
    """One method's cost of one sweep: denoiser rows, median of the seconds, peak memory in MiB."""

    method: str
    edits: int
    steps: int
    rows: int
    seconds: float
    peak: float


def spread_taus(count: int) -> tuple[float, ...]:
    """Values of τ spread evenly over the inside of [0, 1]: .1 … .9 for 9."""
    return tuple((k + 1) / (count + 1) for k in range(count))


def methods(
    folder: Path, device: str, dtype: torch.dtype, compile: str = "none"
) -> dict[str, Callable[[Task], Edits]]:
    """Each method with its own copy of the model, since each sets its own attention.

    ``compile`` applies to ours and to plain generation; materialised maps that change by the step do not compile.
    """

    def pipeline() -> DiffusionPipeline:
        loaded = DiffusionPipeline.from_pretrained(folder, dtype=dtype).to(device)
        loaded.set_progress_bar_config(disable=True)
        return loaded

    editor = p2p.load(folder, device=device, dtype=dtype, compile=compile)
    reference, unedited = pipeline(), pipeline()
    if compile != "none":
        unedited.unet.compile(fullgraph=True, mode=compile)

    def ours(task: Task) -> Edits:
        request = p2p.SweepRequest(
            task.source,
            task.target,
            task.taus,
            seed=task.seed,
            steps=task.steps,
            guidance_scale=task.guidance_scale,
            self_gain=task.self_gain,
        )
        sweep = editor.sweep_many([request], BATCH_ROWS)[0]
        return Edits(sweep.edit_latents, sweep.rows)

    return {
        OURS: ours,
        "InstructPix2Pix": lambda task: instructpix2pix(reference, task),
        MAPS: lambda task: one_batch(reference, task),
        "plain generation": lambda task: plain(unedited, task),
    }


@torch.inference_mode()
def measure(
    folder: Path,
    edits: int,
    steps: int,
    self_gain: float,
    repeats: int,
    device: str,
    dtype: torch.dtype,
    compile: str = "none",
) -> Iterator[Timing]:
    """Time all methods on one sweep; a method that runs out of memory is left out.

    Raises:
        AssertionError: our edits are not those of the materialised maps.
    """
    runs = methods(folder, device, dtype, compile)
    warm_up = Task(SOURCE, TARGET, spread_taus(1), 2, 5.0, 7)
    task = Task(SOURCE, TARGET, spread_taus(edits), steps, 5.0, 7, self_gain)
    peaks: dict[str, float] = {}
    results: dict[str, Edits] = {}
    for method, run in tuple(runs.items()):
        try:
            run(warm_up)
            results[method], peaks[method] = with_peak(lambda run=run: run(task))  # type: ignore[misc]
        except torch.OutOfMemoryError:
            del runs[method]
    if dtype == torch.float32 and MAPS in results:
        ours, maps = results[OURS].latents, results[MAPS].latents
        assert ours is not None
        assert maps is not None
        torch.testing.assert_close(ours.cpu(), maps.cpu(), rtol=1e-3, atol=1e-3)
    seconds: dict[str, list[float]] = {method: [] for method in runs}
    for _ in range(repeats):
        for method, run in runs.items():
            started = time.perf_counter()
            run(task)
            if device == "cuda":
                torch.cuda.synchronize()
            seconds[method].append(time.perf_counter() - started)
    for method in runs:
        median = statistics.median(seconds[method])
        yield Timing(method, edits, steps, results[method].rows, median, peaks[method])


def table(timings: Sequence[Timing]) -> str:
    """Markdown, with each method's time as a multiple of ours for the same sweep."""
    ours = {(t.edits, t.steps): t.seconds for t in timings if t.method == OURS}
    return markdown_table(
        ["K", "steps", "method", "rows:,", "seconds:.2f", "rows/s:.0f", "times ours:.2f", "peak MiB:.0f"],
        [
            (t.edits, t.steps, t.method, t.rows, t.seconds, t.rows / t.seconds, ratio, t.peak)
            for t in timings
            for ratio in [t.seconds / ours[t.edits, t.steps]]
        ],
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.sweep_speed", description=__doc__)
    parser.add_argument("--edits", type=int, nargs="+", default=[1, 5, 9, 17], help="values of K")
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 50])
    parser.add_argument(
        "--self-gain", type=float, default=1.0, help="1: both kinds of injection stop together"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--sd15", type=Path, help="folder for a Stable Diffusion 1.5 shape to measure instead"
    )
    parser.add_argument("--resolution", type=int, default=256, help="of the Stable Diffusion 1.5 shape")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"))
    options = parser.parse_args()
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
    folder = save_sd15(options.sd15, options.resolution) if options.sd15 else miniworld.MODEL
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()
    dtype = getattr(torch, options.dtype)
    timings = [
        timing
        for edits in options.edits
        for steps in options.steps
        for timing in measure(folder, edits, steps, options.self_gain, options.repeats, device, dtype)
    ]
    threads = torch.get_num_threads()
    print(f"{folder.name}, self gain {options.self_gain:g}, {options.dtype}, {name}, {threads} threads\n")
    print(table(timings))


if __name__ == "__main__":
    main()
