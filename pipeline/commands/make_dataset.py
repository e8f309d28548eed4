"""``pairforge [key=value …]``: the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from omegaconf import OmegaConf

from conf.schema import Config
from pipeline.config import environment, resolve
from pipeline.errors import FAILED_PAIRS
from pipeline.output import OutputMode, output_mode
from pipeline.pairs import two_step_settings


def make_dataset(settings: Sequence[str], cfg: str | None, quiet: bool, json: bool) -> int:
    """Make a dataset of image pairs, or print its configuration (``cfg``)."""
    if cfg:
        return _print_configuration(settings)
    mode = output_mode(quiet, json)
    if two_step_settings.OPTION not in settings:
        return _run(resolve.checked(resolve.compose(settings)), mode)
    pairs, images = two_step_settings.configured(settings)
    # The file that the second step reads is yet to be written.
    environment.prepare(pairs, replace(images, captions=pairs.captions))
    # Imported here, because the libraries read the environment when they are imported.
    from pipeline.execution import two_step_run

    return two_step_run.run(pairs, images, mode)


def _print_configuration(settings: Sequence[str]) -> int:
    """As YAML, one document for each step of the run."""
    if two_step_settings.OPTION in settings:
        steps = [OmegaConf.structured(step) for step in two_step_settings.configured(settings)]
    else:
        steps = [resolve.compose(settings)]
    print("---\n".join(map(OmegaConf.to_yaml, steps)), end="")
    return 0


def _run(config: Config, mode: OutputMode) -> int:
    environment.prepare(config)
    # Imported here, because the libraries read the environment when they are imported.
    from pipeline.execution.run import run

    return FAILED_PAIRS if run(config, mode).failed and config.strict else 0
