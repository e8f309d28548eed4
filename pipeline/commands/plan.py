"""``pairforge plan [settings]``: estimates a run before it is started. Writes nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.filesize import decimal

from conf.config_errors import ConfigError
from conf.hydra_options import HydraOptions
from pipeline.config import environment, resolve, saved
from pipeline.execution.progress import clock
from pipeline.output import OutputMode, json_line, output_mode

if TYPE_CHECKING:
    from pipeline.tasks.estimate import Estimate

PROBE_SECONDS = 20.0


def plan(settings: Sequence[str], hydra: HydraOptions, quiet: bool, json: bool) -> int:
    """Estimate a run: pairs, rows, hours, bytes. Writes nothing.

    Takes the settings of the run, reads its input and times a few caption
    pairs.

    probe=20   seconds of the probe

    Example: pairforge plan experiment=instructpix2pix probe=60

    Raises what a run raises before it starts: ConfigError, CaptionsError, ModelError, FilterError, PlanError.
    """
    mode = output_mode(quiet, json)
    probes = [setting for setting in settings if setting.startswith("probe=")]
    seconds = _probe_seconds(probes[-1]) if probes else PROBE_SECONDS
    others, hydra = saved.take_saved([setting for setting in settings if setting not in probes], hydra)
    if resolve.print_instead(others, hydra):
        return 0
    config = resolve.checked(resolve.compose(others, options=hydra))
    environment.prepare(config)
    # Imported here, because the libraries read the environment when they are imported.
    from pipeline.tasks.estimate import estimate

    run = estimate(config, seconds)
    if mode is OutputMode.json:
        print(json_line(asdict(run)))
    elif mode is OutputMode.text:
        print(*_lines(run), sep="\n")
    return 0


def _lines(run: Estimate) -> Iterator[str]:
    probe = run.probe
    yield f"caption pairs  {run.pairs:,} in {run.units:,} units; {run.quarantined:,} lines would be quarantined"
    for reason, count in itertools.islice(run.reasons.items(), 3):
        yield f"               {count:,}: {reason}"
    yield f"candidates     {run.candidates:,}, of {run.rows:,} rows of the denoiser"
    yield (
        f"probe          {probe.pairs} pairs took {probe.seconds:.1f} s on one worker here "
        f"({probe.rows / probe.seconds:,.0f} rows/s); {probe.samples} samples were kept"
    )
    if probe.failed:
        yield f"               {probe.failed} of them failed: a run would quarantine such pairs"
    times = ", ".join(f"{clock(hours * 3600)} on {workers}" for workers, hours in run.hours.items())
    yield f"time           {times} workers like it"
    # Packing copies the parts, which stay so that a shard can be packed again.
    yield (
        f"samples        {run.samples:,}; {decimal(run.bytes)} of parts ({decimal(run.preview_bytes)} of them for the "
        f"contact sheet), {decimal(run.packed_bytes)} of shards and scores"
    )
    yield "nothing was written; a longer probe gives a better estimate: probe=60"


def _probe_seconds(setting: str) -> float:
    try:
        seconds = float(setting.removeprefix("probe="))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigError(f"{setting}: give the seconds of the probe, like probe=60")
    return seconds
