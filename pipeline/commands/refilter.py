"""``pairforge refilter OUT out2=DIR filter.clip_sim_dir=0.25``: chooses again, without generation."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.config import environment
from pipeline.refilter import refilter_settings


def refilter(out: str, settings: Sequence[str]) -> int:
    """Choose again under other thresholds, without generation.

    out2=DIR             the new dataset; OUT stays as it is
    filter.…=…           the new thresholds, like filter.clip_sim_dir=0.25
    duplicates=N         drop samples that nearly repeat an earlier caption pair's: bits of 192
    generate=true        generate the units again that lack an image which is now kept
    shards.samples=N, keep=kept|all-images

    The same command resumes what was stopped.

    Raises ConfigError for settings that need generation, and as ``pipeline.refilter.refilter_run`` does.
    """
    chosen = refilter_settings.read(out, settings)
    environment.prepare(chosen.new)
    # Imported here, because the libraries read the environment when they are imported.
    from pipeline.refilter.refilter_run import refilter_run

    refilter_run(chosen)
    return 0
