"""``pairforge [key=value …]``: the run, or with ``--multirun`` a run of each combination of values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from omegaconf import OmegaConf

from conf.compose import show_package
from conf.hydra_options import HydraOptions
from conf.pairs import PairsConfig
from conf.schema import Config
from pipeline.config import environment, resolve, saved
from pipeline.errors import FAILED_PAIRS
from pipeline.output import OutputMode, output_mode
from pipeline.pairs import two_step_settings

Steps = tuple[PairsConfig | None, Config]
"""The configurations of a run: that of the step that writes caption pairs, if there is one, and that of the images."""


def make_dataset(settings: Sequence[str], hydra: HydraOptions, quiet: bool, json: bool) -> int:
    """Make a dataset of image pairs, print its configuration, or make a dataset of each combination of values."""
    mode = output_mode(quiet, json)
    settings, hydra = saved.take_saved(settings, hydra)
    if two_step_settings.OPTION in settings:
        if hydra.cfg == "job":
            return _print_steps(settings, hydra)
        shown = two_step_settings.split(settings)[1]  # Hydra composes the second step
    else:
        shown = settings
    if resolve.print_instead(shown, hydra):
        return 0
    if hydra.multirun:
        # Imported here, because it reads outputs with libraries that a wrong setting need not wait for.
        from pipeline.execution import multirun

        keys, combinations = resolve.expand(settings, hydra)
        return multirun.run_combinations(
            keys,
            combinations,
            partial(_configured, hydra=hydra),
            lambda steps: steps[1].out,
            _prepare,
            _run,
            mode,
        )
    steps = _configured(settings, hydra)
    _prepare([steps])
    return _run(steps, mode)


def _configured(settings: Sequence[str], hydra: HydraOptions) -> Steps:
    if two_step_settings.OPTION in settings:
        return two_step_settings.configured(settings, hydra)
    return None, resolve.checked(resolve.compose(settings, options=hydra))


def _print_steps(settings: Sequence[str], hydra: HydraOptions) -> int:
    """As YAML, one document for each step of the run."""
    resolve.check_options(hydra)
    steps = two_step_settings.configured(settings, hydra)
    texts = [show_package(OmegaConf.structured(step), hydra.package, hydra.resolve) for step in steps]
    print("---\n".join(texts), end="")
    return 0


def _prepare(runs: Sequence[Steps]) -> None:
    """Prepare the environment for every run of this process."""
    # The file that a second step reads is yet to be written.
    images = [replace(images, captions=pairs.captions) if pairs else images for pairs, images in runs]
    environment.prepare(*images, *(pairs for pairs, _ in runs if pairs))


def _run(steps: Steps, mode: OutputMode) -> int:
    pairs, images = steps
    # Imported here, because the libraries read the environment when they are imported.
    from pipeline.execution import run, two_step_run

    if pairs:
        return two_step_run.run(pairs, images, mode)
    return FAILED_PAIRS if run.run(images, mode).failed and images.strict else 0
