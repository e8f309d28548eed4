"""Cost of the report of a large run, made by the command and used in Chromium. Needs no model."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

import filters
from benchmarks.common.markdown import markdown_table
from benchmarks.common.results_file import publish
from benchmarks.scale.synthetic_captions import write_captions
from conf.schema import Config, ImageFormat
from conf.sweeps import GridSweep
from pipeline.config import resolve, saved
from pipeline.dataset.pack import pack
from pipeline.planning.plan import MANIFEST, Plan
from pipeline.planning.run_fingerprint import FORMAT
from stages import write
from stages.candidates.scoring import CLIP_SCORES, make_thresholds
from stages.candidates.selection import sample_key, sample_metadata
from stages.captions import CaptionSource, open_captions
from stages.formats.tar import encode_image
from stages.records import Candidate, CaptionPair, Preview, Sample, Unit, UnitResult
from stages.storage import plan_files
from stages.storage.commits import read_commit
from stages.storage.store import Store

SIDE, PICTURES, UNIT = 64, 64, 4
KINDS = ("colour", "object", "place", "style", "time")
CLICKS = 5


def make(folder: Path, pairs: int) -> Store:
    """Write a finished run of the demo's sweep by the pipeline's own functions: plan, parts, commits and shards."""
    captions = write_captions(folder / "pairs.jsonl", pairs)
    config = resolve.checked(resolve.compose([f"captions.path={captions}", f"out={folder / 'out'}"]))
    store, random = Store(config.out), np.random.default_rng(0)
    pairs_with_kinds = _with_kinds(open_captions(CaptionSource("jsonl", str(captions))))
    units = list(plan_files.cut(pairs_with_kinds, UNIT))
    count, files = plan_files.write_units(store, units)
    saved.write(store, config)
    store.write_record(MANIFEST, asdict(Plan(count, pairs, 0, {"format": FORMAT}, tuple(files))))
    blocks = random.integers(0, 256, (PICTURES, 4, 4, 3), dtype=np.uint8)
    pictures = blocks.repeat(SIDE // 4, 1).repeat(SIDE // 4, 2)
    commits = []
    for unit in units:
        result = _result(unit, config, pictures, random)
        write.write_unit(store, write.encode_part(result, ImageFormat.png), write.summarise(result))
        commits.append(read_commit(store, unit.index))
    pack(store, commits, config.shards.samples)
    return store


def _with_kinds(pairs: Iterable[object]) -> Iterator[CaptionPair]:
    for number, pair in enumerate(pairs):
        assert isinstance(pair, CaptionPair)
        yield CaptionPair(pair.input, pair.edit, pair.output, f'{{"kind": "{KINDS[number % len(KINDS)]}"}}')


def _result(unit: Unit, config: Config, pictures: np.ndarray, random: np.random.Generator) -> UnitResult:
    candidates = {pair.id: _candidates(pair, config, random) for pair in unit.pairs}
    samples = [
        Sample(
            sample_key(candidate),
            pictures[random.integers(PICTURES)],
            pictures[random.integers(PICTURES)],
            "make the ball blue",
            sample_metadata(pair, candidate, config, ""),
        )
        for pair in unit.pairs
        for candidate in candidates[pair.id]
        if candidate.kept
    ]
    previews = [
        Preview(pair, _png(pictures, random), tuple(_png(pictures, random) for _ in first_seed), first_seed)
        for pair in unit.pairs
        if unit.index < 3
        for first_seed in [tuple(c for c in candidates[pair.id] if c.sample_index == 0)]
    ]
    seconds = {"denoise": 1.0, "score": 0.1}
    every_candidate = tuple(candidate for of_pair in candidates.values() for candidate in of_pair)
    return UnitResult(unit, tuple(samples), every_candidate, (), tuple(previews), 1000, seconds)


def _png(pictures: np.ndarray, random: np.random.Generator) -> bytes:
    return encode_image(pictures[random.integers(PICTURES)], ImageFormat.png, 100)


def _candidates(pair: CaptionPair, config: Config, random: np.random.Generator) -> list[Candidate]:
    """Candidates with scores that depend on τ as real ones do, and the pipeline's own choice among them."""
    assert isinstance(config.sweep, GridSweep)
    grid = [(index, tau) for index in range(config.sweep.seeds) for tau in config.sweep.taus]
    taus = np.array([tau for _, tau in grid])
    limits = make_thresholds(config.filter)
    centres = {"clip_sim_0": 0.05, "clip_sim_1": 0.05, "clip_sim_dir": 0.12 - 0.3 * taus}
    centres["clip_sim_image"] = 0.1 * taus - 0.02
    values = {
        name: (getattr(limits, name) + centres[name] + random.normal(0, 0.08, len(grid))).astype(np.float32)
        for name in CLIP_SCORES
    }
    reasons = filters.choose([index for index, _ in grid], filters.ClipScores(**values), limits)
    scores: list[dict[str, Any]] = [
        {name: float(values[name][k]) for name in CLIP_SCORES} for k in range(len(grid))
    ]
    return [
        Candidate(
            pair_id=pair.id,
            sample_index=index,
            seed=index,
            tau=tau,
            cfg_scale=3.0,
            **scores[k],
            kept=not reasons[k],
            reason=reasons[k],
        )
        for k, (index, tau) in enumerate(grid)
    ]


def report(out: str) -> tuple[float, float, float]:
    """Seconds, processor's seconds and peak MiB of ``pairforge report`` in a process of its own."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "pipeline.cli.main", "report", out])
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def browse(path: Path) -> tuple[float, float, float, float]:
    """Seconds to open the page with its first pictures, of a search and of a change of list; MiB of its heap."""
    with sync_playwright() as playwright:
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        opened = _seconds(page, [lambda: page.goto(path.as_uri())])
        texts = ["ball" if number % 2 else "ball boat" for number in range(CLICKS)]
        search = _seconds(page, [lambda text=text: page.fill("#search", text) for text in texts])  # type: ignore[misc]
        buttons = [page.locator(".controls label span").nth(number % 4) for number in range(CLICKS)]
        change = _seconds(page, [button.click for button in buttons])
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        metrics = {
            metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]
        }
        browser.close()
    return opened, search, change, metrics["JSHeapUsedSize"] / 2**20


def _seconds(page: Page, actions: Sequence[Callable[[], object]]) -> float:
    """Mean seconds of the actions until all pictures are loaded."""
    started = time.perf_counter()
    for act in actions:
        act()
    page.wait_for_function("() => [...document.images].every(image => image.complete && image.naturalWidth)")
    return (time.perf_counter() - started) / len(actions)


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.report_cost", description=__doc__)
    parser.add_argument("--pairs", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--folder", type=Path, help="for the run, removed afterwards (default: the system's)")
    options = parser.parse_args()
    records = []
    for pairs in options.pairs:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            store = make(Path(folder), pairs)
            packed = report(store.url)
            page = Path(folder) / "out" / "report" / "index.html"
            megabytes, browsing = page.stat().st_size / 1e6, browse(page)
            # Without the record of packing, scores are read from the parts, as in a run that goes on.
            Path(store.path("run/pack.json")).unlink()
            records.append((pairs, *packed, *report(store.url), megabytes, *browsing))
        print(*records[-1], flush=True)
    columns = [
        *("caption pairs:,", "made in, s:.1f", "processor, s:.1f", "memory, MiB:,.0f"),
        *("of a live run, s:.1f", "processor, s:.1f", "memory, MiB:,.0f", "page, MB:.1f"),
        *("opened in, s:.2f", "a search, s:.2f", "another list, s:.2f", "page's heap, MiB:.0f"),
    ]
    publish(
        "Report",
        "benchmarks.scale.report_cost",
        "`pairforge report` on the demo's sweep, 20 candidates a caption pair, images of 64 × 64, in a process of its "
        "own; the page is opened in headless Chromium until its pictures are loaded.\n\n"
        + markdown_table(columns, records),
    )


if __name__ == "__main__":
    main()
