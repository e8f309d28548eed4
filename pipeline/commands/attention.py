"""``pairforge attention PROMPT``: where a model attends to each word of a prompt, as a PNG."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conf.compose import ConfigError
from conf.schema import Config
from pipeline.config import environment, resolve
from pipeline.report import heatmap

OUT, GROUPS = "attention.png", 4


@dataclass(frozen=True)
class Asked:
    """A prompt, the runs of steps that are shown apart, and the settings: ``config.out`` is the PNG."""

    prompt: str
    groups: int
    config: Config


def attention(prompt: str, settings: Sequence[str]) -> int:
    """Draw where the model attends to each word of a prompt: attention.png.

    pairforge attention "a red ball on grass" groups=4 out=attention.png sampler.steps=30

    groups=4             parts of the steps that are drawn apart
    out=attention.png    the picture; seed, model and sampler are those of a run

    Raises ConfigError, p2p.ModelError and p2p.P2PError.
    """
    asked = parse(prompt, settings)
    environment.prepare(asked.config)
    print(os.path.relpath(write(asked)))
    return 0


def parse(prompt: str, settings: Sequence[str]) -> Asked:
    """Read the settings. Raises ConfigError."""
    if not prompt.strip():
        raise ConfigError('the prompt is empty: pairforge attention "a red ball on grass"')
    grouped = [setting for setting in settings if setting.startswith("groups=")]
    others = [setting for setting in settings if setting not in grouped]
    config = resolve.checked(resolve.compose([f"out={OUT}", *others]))
    steps = config.sampler.steps
    said = grouped[-1].removeprefix("groups=") if grouped else str(min(GROUPS, steps))
    if not said.isdecimal() or not 1 <= int(said) <= steps:
        raise ConfigError(f"groups={said}: it has to be 1 to {steps}, the steps (sampler.steps)")
    if "://" in config.out or Path(config.out).suffix.lower() != ".png":
        raise ConfigError(f"out={config.out} is no PNG on this machine: give out=NAME.png")
    return Asked(prompt, int(said), config)


def write(asked: Asked) -> Path:
    """Generate the prompt's image with the run's seed and sampler, draw the maps of its words over it, write the PNG.

    Raises p2p.ModelError and p2p.P2PError.
    """
    # Imported here, because the libraries read the environment when they are imported.
    import p2p

    path = Path(asked.config.out)
    # Before the image is made, which nobody should wait for in vain.
    path.parent.mkdir(parents=True, exist_ok=True)
    model, sampler = asked.config.model, asked.config.sampler
    seen = p2p.load(
        model.path, model.device, model.dtype.value, model.revision, family=model.family
    ).attention(
        asked.prompt,
        seed=asked.config.seed,
        steps=sampler.steps,
        guidance_scale=sampler.guidance,
        sampler=sampler.name,
        groups=asked.groups,
    )
    rows = [heatmap.Maps("all steps", seen.maps)]
    if asked.groups > 1:
        ends = [round((k + 1) * sampler.steps / asked.groups) for k in range(asked.groups)]
        starts = [1, *(end + 1 for end in ends[:-1])]
        rows += [
            heatmap.Maps(f"steps {first}-{last}", maps)
            for first, last, maps in zip(starts, ends, seen.groups, strict=True)
        ]
    path.write_bytes(heatmap.draw(asked.prompt, seen.image, seen.words, rows))
    return path
