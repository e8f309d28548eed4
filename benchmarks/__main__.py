"""Lists the benchmarks: the time each takes, and what it measures."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Benchmark:
    """A module that `python -m benchmarks.NAME` runs, and its time with default arguments on two CPU cores."""

    name: str
    time: str
    gpu: bool = False

    @property
    def path(self) -> Path:
        return Path(__file__).parent / f"{self.name.replace('.', '/')}.py"

    def summary(self) -> str:
        """The first line of the module's docstring, read without importing the module."""
        return (ast.get_docstring(ast.parse(self.path.read_text())) or "").partition("\n")[0]


BENCHMARKS = (
    Benchmark("speed.sweep_speed", "20 min"),
    Benchmark("speed.attention_memory", "2 min"),
    Benchmark("speed.gpu_utilisation", "not measured", gpu=True),
    Benchmark("yields.rows_per_kept", "a day"),
    Benchmark("truth.filter_precision", "15 min"),
    Benchmark("truth.background_preservation", "5 min"),
    Benchmark("truth.real_image_edits", "30 min"),
    Benchmark("truth.caption_writer", "5 min"),
    Benchmark("scale.large_runs", "20 min"),
    Benchmark("scale.unit_gaps", "10 min"),
    Benchmark("scale.driver_memory", "3 hours"),
    Benchmark("figures.paper_figures", "5 min"),
    Benchmark("figures.method_figures", "1 min"),
)


def main() -> None:
    """Print one line a benchmark."""
    for benchmark in BENCHMARKS:
        device = "GPU" if benchmark.gpu else "CPU"
        print(f"{benchmark.name:30}{benchmark.time:14}{device:5}{benchmark.summary()}")


if __name__ == "__main__":
    main()
