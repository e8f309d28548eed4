"""What the report of a large run costs: made, opened and used in a real Chromium. No model is needed.

python -m benchmarks.scale.report_cost [--pairs 100000] [--folder DIR]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

import filters
from benchmarks.common.markdown import markdown_table
from benchmarks.common.results_file import write_section
from benchmarks.scale.synthetic_captions import write_captions
from conf.schema import Config, ImageFormat
from conf.sweeps import GridSweep
from pipeline.config import resolve, saved
from pipeline.dataset.pack import pack
from pipeline.planning.plan import MANIFEST, Plan
from stages import write
from stages.candidates.scoring import CLIP_SCORES, make_thresholds
from stages.candidates.selection import sample_key, sample_metadata
from stages.captions import CaptionSource, open_captions
from stages.formats.images import encode
from stages.records import Candidate, CaptionPair, Preview, Sample, Unit, UnitResult
from stages.storage import plan_files
from stages.storage.checksum import seal
from stages.storage.store import Store

SIDE, DRAWN, UNIT = 64, 64, 4
KINDS = ("colour", "object", "place", "style", "time")
CLICKS = 5


def make(folder: Path, pairs: int) -> Store:
    """A finished run of the demo's sweep: its plan, parts, commits and shards by the pipeline's own hands."""
    captions = write_captions(folder / "pairs.jsonl", pairs)
    config = resolve.checked(resolve.compose([f"captions.path={captions}", f"out={folder / 'out'}"]))
    store, draw = Store(config.out), np.random.default_rng(0)
    named = (one for one in open_captions(CaptionSource("jsonl", str(captions))))
    cut = [Unit(*one) for one in plan_files.cut(_with_kinds(named), UNIT)]
    count, files = plan_files.write_units(store, plan_files.lines_of(cut))
    saved.write(store, config)
    store.write(MANIFEST, seal(asdict(Plan(count, pairs, 0, {}, tuple(files)))).encode())
    pictures = (
        draw.integers(0, 256, (DRAWN, 4, 4, 3), dtype=np.uint8).repeat(SIDE // 4, 1).repeat(SIDE // 4, 2)
    )
    commits = []
    for unit in cut:
        result = _result(unit, config, pictures, draw)
        write.write_unit(store, write.encode_part(result, ImageFormat.png), write.summary(result))
        commits.append(write.read_commit(store, unit.index))
    pack(store, commits, config.shards.samples)
    return store


def _with_kinds(pairs: Iterator[object]) -> Iterator[CaptionPair]:
    for number, pair in enumerate(pairs):
        assert isinstance(pair, CaptionPair)
        yield CaptionPair(pair.input, pair.edit, pair.output, f'{{"kind": "{KINDS[number % len(KINDS)]}"}}')


def _result(unit: Unit, config: Config, pictures: np.ndarray, draw: np.random.Generator) -> UnitResult:
    candidates = [one for pair in unit.pairs for one in _candidates(pair, config, draw)]
    samples = [
        Sample(
            sample_key(one),
            pictures[draw.integers(DRAWN)],
            pictures[draw.integers(DRAWN)],
            "make the ball blue",
            sample_metadata(pair, one, config, ""),
        )
        for pair in unit.pairs
        for one in candidates
        if one.kept and one.pair_id == pair.id
    ]
    previews = [
        Preview(pair, _png(pictures, draw), tuple(_png(pictures, draw) for _ in own), own)
        for pair in unit.pairs
        if unit.index < 3
        for own in [tuple(c for c in candidates if (c.pair_id, c.sample_index) == (pair.id, 0))]
    ]
    seconds = {"denoise": 1.0, "score": 0.1}
    return UnitResult(unit, tuple(samples), tuple(candidates), (), tuple(previews), 1000, seconds)


def _png(pictures: np.ndarray, draw: np.random.Generator) -> bytes:
    return encode(pictures[draw.integers(DRAWN)], ImageFormat.png, 100)


def _candidates(pair: CaptionPair, config: Config, draw: np.random.Generator) -> list[Candidate]:
    """With scores that fall and rise with τ as real ones do, and the pipeline's own choice among them."""
    assert isinstance(config.sweep, GridSweep)
    tried = [(index, tau) for index in range(config.sweep.seeds) for tau in config.sweep.taus]
    taus = np.array([tau for _, tau in tried])
    limits = make_thresholds(config.filter)
    centres = {"clip_sim_0": 0.05, "clip_sim_1": 0.05, "clip_sim_dir": 0.12 - 0.3 * taus}
    centres["clip_sim_image"] = 0.1 * taus - 0.02
    values = {
        name: (getattr(limits, name) + centres[name] + draw.normal(0, 0.08, len(tried))).astype(np.float32)
        for name in CLIP_SCORES
    }
    reasons = filters.choose([index for index, _ in tried], filters.ClipScores(**values), limits)
    scores: list[dict[str, Any]] = [
        {name: float(values[name][row]) for name in CLIP_SCORES} for row in range(len(tried))
    ]
    return [
        Candidate(
            pair_id=pair.id,
            sample_index=index,
            seed=index,
            tau=tau,
            cfg_scale=3.0,
            **scores[row],
            kept=not reasons[row],
            reason=reasons[row],
        )
        for row, (index, tau) in enumerate(tried)
    ]


def report(out: str) -> tuple[float, float, float]:
    """Seconds of ``pairforge report`` as it is called, the processor's seconds, and MiB that it held at most."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "pipeline.cli.main", "report", out])
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0
    return time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def browse(page: Path) -> dict[str, float]:
    """Seconds until the page is laid out with its first pictures, of a search and of a change of list; MiB it holds."""
    with sync_playwright() as playwright:
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        opened = browser.new_page(viewport={"width": 1280, "height": 900})
        started = time.perf_counter()
        opened.goto(page.as_uri())
        _pictured(opened)
        measured = {"open": time.perf_counter() - started}
        started = time.perf_counter()
        for number in range(CLICKS):
            opened.fill("#search", "ball" if number % 2 else "ball boat")
        _pictured(opened)
        measured["search"] = (time.perf_counter() - started) / CLICKS
        started = time.perf_counter()
        for number in range(CLICKS):
            opened.locator(".controls label span").nth(number % 4).click()
        _pictured(opened)
        measured["list"] = (time.perf_counter() - started) / CLICKS
        session = opened.context.new_cdp_session(opened)
        session.send("Performance.enable")
        metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        measured["heap"] = metrics["JSHeapUsedSize"] / 2**20
        browser.close()
    return measured


def _pictured(page: Page) -> None:
    page.wait_for_function("() => [...document.images].every(image => image.complete && image.naturalWidth)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    rows = []
    for pairs in given.pairs:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            store = make(Path(folder), pairs)
            print(f"{pairs} pairs made", flush=True)
            finished, busy, peak = report(store.url)
            page = Path(folder) / "out" / "report" / "index.html"
            size, used = page.stat().st_size / 1e6, browse(page)
            # Without what was packed, the scores are read from the parts, as those of a live run are.
            Path(store.path("run/pack.json")).unlink()
            live, live_busy, live_peak = report(store.url)
        rows.append(
            [
                f"{pairs:,}",
                f"{finished:.1f}",
                f"{busy:.1f}",
                f"{peak:,.0f}",
                f"{live:.1f}",
                f"{live_busy:.1f}",
                f"{live_peak:,.0f}",
                f"{size:.1f}",
                f"{used['open']:.2f}",
                f"{used['search']:.2f}",
                f"{used['list']:.2f}",
                f"{used['heap']:.0f}",
            ]
        )
        print(*rows[-1], flush=True)
    columns = [
        "caption pairs",
        "made in, s",
        "processor, s",
        "memory, MiB",
        "of a live run, s",
        "processor, s",
        "memory, MiB",
        "page, MB",
        "opened in, s",
        "a search, s",
        "another list, s",
        "page's heap, MiB",
    ]
    write_section(
        "The report (`python -m benchmarks.scale.report_cost`)",
        "`pairforge report` on the demo's sweep, 20 candidates a caption pair, images of 64 × 64, as a command of its "
        "own; the page opened in headless Chromium until its pictures are there.\n\n"
        + markdown_table(columns, rows),
    )


if __name__ == "__main__":
    main()
