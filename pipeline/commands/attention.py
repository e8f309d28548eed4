"""``pairforge attention PROMPT``: draws where a model attends to each word of a prompt."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from conf.config_errors import ConfigError
from conf.schema import Config
from pipeline.config import environment, resolve
from pipeline.output import output_mode
from pipeline.report import heatmap
from stages.storage.ownership import check_picture, write_picture

OUT, GROUPS = "attention.png", 4


def attention(prompt: str, settings: Sequence[str], quiet: bool, json: bool) -> int:
    """Draw where the model attends to each word of a prompt: attention.png.

    groups=4            parts of the steps that are drawn apart
    out=attention.png   the picture

    Seed, model and sampler are settings of a run: seed=0, model=miniworld, …

    Example: pairforge attention "a red ball on grass" sampler.steps=30

    Raises ConfigError, p2p.ModelError and p2p.P2PError.
    """
    mode = output_mode(quiet, json)
    if not prompt.strip():
        raise ConfigError('the prompt is empty: pairforge attention "a red ball on grass"')
    config, groups = _read(settings)
    environment.prepare(config)
    path = Path(config.out)
    # Before the image is generated.
    check_picture(path, "out")
    write_picture(path, _draw(prompt, config, groups), "out")
    mode.say(os.path.relpath(path))
    mode.answer({"picture": str(path), "prompt": prompt, "groups": groups})
    return 0


def _read(settings: Sequence[str]) -> tuple[Config, int]:
    """Return the configuration, whose ``out`` is the PNG, and the number of groups of steps."""
    groups_settings = [setting for setting in settings if setting.startswith("groups=")]
    others = [setting for setting in settings if setting not in groups_settings]
    config = resolve.checked(resolve.compose([f"out={OUT}", *others]))
    steps = config.sampler.steps
    groups = groups_settings[-1].removeprefix("groups=") if groups_settings else str(min(GROUPS, steps))
    if not groups.isdecimal() or not 1 <= int(groups) <= steps:
        raise ConfigError(f"groups={groups} must be from 1 to {steps}, the number of steps (sampler.steps)")
    if "://" in config.out or Path(config.out).suffix.lower() != ".png":
        raise ConfigError(f"out={config.out} is not a PNG on this machine: give out=NAME.png")
    return config, int(groups)


def _draw(prompt: str, config: Config, groups: int) -> bytes:
    """Generate the prompt's image with the run's seed and sampler, and draw the maps of its words over it, as a PNG."""
    # Imported here, because the libraries read the environment when they are imported.
    import p2p

    model, sampler = config.model, config.sampler
    editor = p2p.load(
        model.path,
        model.device,
        model.dtype.value,
        model.revision,
        family=model.family,
        max_sequence_length=model.max_sequence_length,
    )
    try:
        words = editor.attention(
            prompt,
            seed=config.seed,
            steps=sampler.steps,
            guidance_scale=sampler.guidance,
            sampler=sampler.name,
            groups=groups,
            too_long=config.edit.too_long.value,
        )
    except p2p.P2PError as error:
        raise ConfigError(str(error).replace("too_long='truncate'", "edit.too_long=truncate")) from error
    maps = [heatmap.Maps("all steps", words.maps)]
    if groups > 1:
        ends = [round(k * sampler.steps / groups) for k in range(groups + 1)]
        maps += [
            heatmap.Maps(f"steps {start + 1}-{end}", group)
            for (start, end), group in zip(pairwise(ends), words.groups, strict=True)
        ]
    return heatmap.draw(prompt, words.image, words.words, maps)
