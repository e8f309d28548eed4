"""One sweep four ways, side by side: `python -m benchmarks.speed.sweep_speed`.

Ours; InstructPix2Pix's procedure (a run for every τ, four rows a step); the form of google/prompt-to-prompt and of
diffusers' community pipeline (a source and K edits in one batch); and the plain generation of as many images, which is
what the pictures cost without Prompt-to-Prompt. The same model, precision, prompts and number of threads. The ways
take turns, so that a busy machine disturbs all of them alike; times are medians.
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
from rich.console import Console
from rich.table import Table

import miniworld
import p2p
from benchmarks.common.peak_memory import with_peak
from benchmarks.speed.random_models import save_sd15
from benchmarks.speed.reference_sweeps import Made, Task, instructpix2pix, one_batch, plain

SOURCE, TARGET = "a photo of a red ball on grass by day", "a photo of a blue ball on grass by day"
OURS, MAPS = "ours", "one batch, maps"
# One batch of the free form fills what the others fill with their largest: no way is starved of batch size.
BATCH_ROWS = 32


@dataclass(frozen=True)
class Cell:
    """What one way took for one sweep: medians of the seconds, rows, and MiB of peak memory."""

    way: str
    edits: int
    steps: int
    rows: int
    seconds: float
    peak: float


def taus(count: int) -> tuple[float, ...]:
    """K values of τ spread evenly over the inside of [0, 1]: .1 … .9 for 9."""
    return tuple((k + 1) / (count + 1) for k in range(count))


def ways(
    folder: Path, device: str, dtype: torch.dtype, compile: str = "none"
) -> dict[str, Callable[[Task], Made]]:
    """Each way with a copy of the model of its own, since each sets its own attention.

    ``compile`` is for ours and for plain generation: attention that materialises maps by the step is not for it.
    """

    def pipeline() -> DiffusionPipeline:
        loaded = DiffusionPipeline.from_pretrained(folder, dtype=dtype).to(device)
        loaded.set_progress_bar_config(disable=True)
        return loaded

    editor = p2p.load(folder, device=device, dtype=dtype, compile=compile)
    rival, free = pipeline(), pipeline()
    if compile != "none":
        free.unet.compile(fullgraph=True, mode=compile)

    def ours(task: Task) -> Made:
        request = p2p.SweepRequest(
            task.source,
            task.target,
            taus=task.taus,
            seed=task.seed,
            steps=task.steps,
            guidance_scale=task.guidance_scale,
            self_gain=task.self_gain,
        )
        sweep = editor.sweep_many([request], BATCH_ROWS)[0]
        return Made(sweep.edit_latents, sweep.rows)

    return {
        OURS: ours,
        "InstructPix2Pix": lambda task: instructpix2pix(rival, task),
        MAPS: lambda task: one_batch(rival, task),
        "plain generation": lambda task: plain(free, task),
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
) -> Iterator[Cell]:
    """All ways over one sweep; a rival whose memory is short is left out.

    Raises:
        AssertionError: our edits are not those of the materialised maps.
    """
    runs = ways(folder, device, dtype, compile)
    warm_up = Task(SOURCE, TARGET, taus(1), 2, 5.0, 7)
    task = Task(SOURCE, TARGET, taus(edits), steps, 5.0, 7, self_gain)
    peaks: dict[str, float] = {}
    seconds: dict[str, list[float]] = {way: [] for way in runs}
    made: dict[str, Made] = {}
    for way, run in tuple(runs.items()):
        try:
            run(warm_up)
            made[way], peaks[way] = with_peak(lambda run=run: run(task))  # type: ignore[misc]
        except torch.OutOfMemoryError:
            del runs[way]
    if dtype == torch.float32 and MAPS in made:
        mine, maps = made[OURS].edits, made[MAPS].edits
        if mine is None or maps is None:
            raise AssertionError("both make edits")
        torch.testing.assert_close(mine.cpu(), maps.cpu(), rtol=1e-3, atol=1e-3)
    for _ in range(repeats):
        for way, run in runs.items():
            started = time.perf_counter()
            run(task)
            if device == "cuda":
                torch.cuda.synchronize()
            seconds[way].append(time.perf_counter() - started)
    for way in runs:
        yield Cell(way, edits, steps, made[way].rows, statistics.median(seconds[way]), peaks[way])


def table(title: str, cells: Sequence[Cell]) -> Table:
    """A row a cell; ours comes first of every sweep, and the others are told in its time."""
    drawn = Table(title=title)
    for column in ("K", "steps", "way", "rows", "seconds", "rows/s", "times ours", "peak MiB"):
        drawn.add_column(column, justify="right")
    mine = 0.0
    for cell in cells:
        if cell.way == OURS:
            drawn.add_section()
            mine = cell.seconds
        drawn.add_row(
            str(cell.edits),
            str(cell.steps),
            cell.way,
            str(cell.rows),
            f"{cell.seconds:.2f}",
            f"{cell.rows / cell.seconds:.0f}",
            f"{cell.seconds / mine:.2f}",
            f"{cell.peak:.0f}",
        )
    return drawn


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.sweep_speed", description=__doc__)
    parser.add_argument("--edits", type=int, nargs="+", default=[1, 5, 9, 17], help="values of K")
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 50])
    parser.add_argument(
        "--self-gain", type=float, default=1.0, help="at 1, as in InstructPix2Pix, both kinds stop at once"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--sd15", type=Path, help="measure a Stable Diffusion 1.5 shape instead, saved in this folder"
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
    cells = [
        cell
        for edits in options.edits
        for steps in options.steps
        for cell in measure(folder, edits, steps, options.self_gain, options.repeats, device, dtype)
    ]
    title = (
        f"{folder.name}, self gain {options.self_gain:g}, {options.dtype}, {name}, "
        f"{torch.get_num_threads()} threads"
    )
    Console(width=110).print(table(title, cells))


if __name__ == "__main__":
    main()
