"""``pairforge plan [settings]``: estimates a run before it is started. Writes nothing."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.filesize import decimal

from conf.config_errors import ConfigError
from conf.hydra_options import HydraOptions
from conf.running import ClusterKind
from conf.schema import Config
from pipeline.config import environment, resolve, saved
from pipeline.execution.progress import clock
from pipeline.output import OutputMode, json_line, output_mode

if TYPE_CHECKING:
    from pipeline.tasks.estimate import Estimate

PROBE_SECONDS = 20.0


def plan(settings: Sequence[str], hydra: HydraOptions, quiet: bool, json: bool) -> int:
    """Estimate a run: pairs, rows, hours, bytes. Writes nothing.

    Takes the settings of the run, reads its input and times a few caption
    pairs, with cluster=ray on a worker of the cluster.

    probe=20   seconds of the probe

    Examples:

      pairforge plan experiment=instructpix2pix probe=60
      pairforge plan -m sampler.steps=20,30

    Raises what a run raises before it starts: ConfigError, CaptionsError, ModelError, FilterError, PlanError.
    """
    mode = output_mode(quiet, json)
    probes = [setting for setting in settings if setting.startswith("probe=")]
    seconds = _probe_seconds(probes[-1]) if probes else PROBE_SECONDS
    others, hydra = saved.take_saved([setting for setting in settings if setting not in probes], hydra)
    if resolve.print_instead(others, hydra):
        return 0
    keys, combinations = resolve.expand(others, hydra) if hydra.multirun else ([], [others])
    configs = [resolve.checked(resolve.compose(settings, options=hydra)) for settings in combinations]
    environment.prepare(*configs)
    runs = []
    for config, settings in zip(configs, combinations, strict=True):
        run = _estimate(config, seconds)
        swept = dict(setting.split("=", 1) for setting in settings if setting.partition("=")[0] in keys)
        mode.say(*(f"{key}={value}" for key, value in swept.items()), *_lines(run))
        runs.append({**swept, **asdict(run)})
    if mode is OutputMode.json:
        print(json_line({"runs": runs} if hydra.multirun else runs[0]))
    return 0


def _estimate(config: Config, seconds: float) -> Estimate:
    # Imported here, because the libraries read the environment when they are imported.
    from pipeline.tasks.estimate import estimate

    if config.cluster.kind is ClusterKind.local:
        return estimate(config, seconds)
    from pipeline.execution.cluster_probe import stages_on_cluster

    with stages_on_cluster(config) as make_stage:
        return estimate(config, seconds, make_stage)


def _lines(run: Estimate) -> Iterator[str]:
    probe = run.probe
    place = "here" if probe.host == socket.gethostname() else f"on {probe.host}"
    place += "" if probe.device == "cpu" else f" with {probe.device}"
    yield f"caption pairs  {run.pairs:,} in {run.units:,} units; {run.quarantined:,} lines would be quarantined"
    for reason, count in itertools.islice(run.reasons.items(), 3):
        yield f"               {count:,}: {reason}"
    yield f"candidates     {run.candidates:,}, of {run.rows:,} rows of the denoiser"
    yield (
        f"probe          {probe.pairs} pairs took {probe.seconds:.1f} s on one worker {place} "
        f"({probe.rows / probe.seconds:,.0f} rows/s); {probe.samples} samples were kept"
    )
    if probe.failed:
        yield f"               {probe.failed} of them failed: a run would quarantine such pairs"
    times = ", ".join(f"{clock(hours * 3600)} on {workers}" for workers, hours in run.hours.items())
    yield f"time           {times} workers like it"
    yield (
        f"               and {clock(run.start_seconds)} to load the models, {clock(run.preview_seconds)} for "
        f"the contact sheet, {clock(run.pack_seconds)} to pack"
    )
    if run.gpu_hours is not None:
        cost = f", which cost {run.cost:,.2f}" if run.cost is not None else ""
        yield f"GPUs           {run.gpu_hours:,.1f} hours of a GPU{cost}"
    # Packing copies the parts, which stay so that a shard can be packed again.
    yield (
        f"samples        {run.samples:,}; {decimal(run.bytes)} of parts ({decimal(run.preview_bytes)} of them for the "
        f"contact sheet), {decimal(run.packed_bytes)} of shards and scores"
    )
    low, high = run.samples_range
    if low < 0.75 * run.samples or high > 1.25 * run.samples:
        parts, packed = (
            " to ".join(map(decimal, ends)) for ends in (run.bytes_range, run.packed_bytes_range)
        )
        yield f"               the probe is too short to be sure: {low:,} to {high:,} samples,"
        yield f"               {parts} of parts, {packed} of shards and scores"
    yield "nothing was written; a longer probe gives a better estimate: probe=60"


def _probe_seconds(setting: str) -> float:
    try:
        seconds = float(setting.removeprefix("probe="))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigError(f"{setting}: give the seconds of the probe, like probe=60")
    return seconds
