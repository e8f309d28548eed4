from __future__ import annotations

import importlib

import pytest

from benchmarks.__main__ import BENCHMARKS, Benchmark, main

FOLDER = BENCHMARKS[0].path.parents[1]


def test_every_runnable_module_is_listed():
    runnable = {path for path in FOLDER.glob("*/*.py") if '__name__ == "__main__"' in path.read_text()}
    assert runnable == {benchmark.path for benchmark in BENCHMARKS}


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda benchmark: benchmark.name)
def test_every_benchmark_imports_and_has_a_summary(benchmark: Benchmark):
    assert callable(importlib.import_module(f"benchmarks.{benchmark.name}").main)
    assert benchmark.summary().endswith((".", ")."))


def test_list_has_one_line_a_benchmark(capsys: pytest.CaptureFixture[str]):
    main()
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [b.name for b in BENCHMARKS]
