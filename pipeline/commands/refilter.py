"""``pairforge refilter OUT out2=DIR filter.clip_sim_dir=0.25``: chooses again, without generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from pipeline.config import environment
from pipeline.output import output_mode
from pipeline.refilter import refilter_settings


def refilter(out: str, settings: Sequence[str], quiet: bool, json: bool) -> int:
    """Choose again under other thresholds, without generation.

    out2=DIR              the new dataset; OUT stays as it is
    filter.…              a new threshold; without it, that of the run
    duplicates=null       N: drop a sample whose two images differ in at most
                          N of 192 bits from an earlier caption pair's
    generate=false        true: generate units that lack an image again
    shards.samples, keep  those of the run, unless given

    The same command resumes what was stopped.

    Example: pairforge refilter out out2=strict filter.clip_sim_dir=0.25

    Raises ConfigError for settings that need generation, and as ``pipeline.refilter.refilter_run`` does.
    """
    mode = output_mode(quiet, json)
    chosen = refilter_settings.read(out, settings)
    environment.prepare(chosen.new)
    # Imported here, because the libraries read the environment when they are imported.
    from pipeline.refilter.refilter_run import refilter_run

    funnel, missing = refilter_run(chosen, mode.of_parts)
    mode.answer(
        {"out": chosen.target.url, **asdict(funnel), "keep_rate": funnel.keep_rate, "missing": missing}
    )
    return 0
