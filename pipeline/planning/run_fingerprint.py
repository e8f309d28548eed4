"""The settings and models that a run's results depend on. Runs with equal ones make equal candidates and shards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

import filters
import p2p
from conf.schema import OF_IMAGES, OPTIONAL, Captions, Config, Keep, SamplerName
from conf.sweeps import AdaptiveSweep
from p2p.models.family_registry import family_digest
from stages.candidates.scoring import make_measure_specs
from stages.captions.blocklist import load_blocklist

FORMAT = 2
"""Version of the plan: raised when a change of the program changes its results or the files of an output."""
Change = tuple[str, str, str]
"""A setting, its planned value and its present value."""
# Settings that enter by the content they name.
BY_CONTENT = {
    ("filter", "name"),
    ("filter", "pretrained"),
    ("filter", "measures"),
    ("sweep", "prior_from"),
    ("sweep", "priors"),
    # It chooses the default of unit_pairs, which is here itself.
    ("sweep", "unit_factor"),
}


def settings_of(config: Config, captions_sha256: str, models: Models) -> dict[str, Any]:
    """Return every setting that changes results, by its dotted name. Machines, paths and logs do not.

    Models and captions enter by their digests, so they may be moved.
    """
    settings = {
        "format": FORMAT,
        "seed": config.seed,
        "unit_pairs": config.unit_pairs,
        "stage": config.stage,
        "captions": captions_sha256,
        "model.name": config.model.name,
        "model.revision": config.model.revision,
        "model.dtype": config.model.dtype.value,
        "model.compile": config.model.compile.value,
        "model.channels_last": config.model.channels_last,
        "model.tf32": config.model.tf32,
        # The shape of the denoiser's batches changes the last bits of a result.
        "cluster.batch_rows": config.cluster.batch_rows,
        "model.scoring_decoder": models.scoring_decoder,
        "model.fingerprint": models.generator,
        "filter.clip": models.clip,
        "filter.measures": [
            {"is": content, "name": spec.score, "least": measure.least, "most": measure.most}
            for content, spec, measure in zip(
                models.measures, make_measure_specs(config.filter), config.filter.measures, strict=True
            )
        ],
        "sweep.kind": type(config.sweep).__name__,
    }
    if config.model.max_sequence_length is not None:
        settings["model.max_sequence_length"] = config.model.max_sequence_length
    if config.model.fp8:
        settings["model.fp8"] = True
    if config.model.text_encoder_bits:
        settings["model.text_encoder_bits"] = config.model.text_encoder_bits
    if config.model.variant:
        settings["model.variant"] = config.model.variant
    if config.model.family:
        settings["model.family"] = config.model.family
    settings |= {f"{name}.source": digest for name, digest in models.own}
    blocked = load_blocklist(config.captions.block, config.captions.block_file)
    if blocked:
        settings["captions.block"] = list(blocked)
    if config.captions.image_upscale != Captions().image_upscale:
        settings["captions.image_upscale"] = config.captions.image_upscale
    if config.early.at is not None:
        settings |= {f"early.{name}": value for name, value in asdict(config.early).items()}
    if isinstance(config.sweep, AdaptiveSweep) and config.sweep.priors:
        settings["sweep.priors"] = [asdict(one) for one in config.sweep.priors]
    if config.keep is not Keep.kept:
        # Shards are the same without; but what a run was begun with it must not be ended without.
        settings["keep"] = config.keep.value
    for section in ("sweep", "sampler", "edit", "filter", "shards"):
        for name, value in asdict(getattr(config, section)).items():
            unset = value is None and name in (*OPTIONAL.get(section, ()), *OF_IMAGES.get(section, ()))
            if (section, name) not in BY_CONTENT and not unset:
                settings[f"{section}.{name}"] = value.value if isinstance(value, Enum) else value
    return settings


@dataclass(frozen=True)
class Models:
    """Fingerprints of a run's models. ``own``: digests of the user's modules, by the setting that names each."""

    generator: str
    clip: str
    scoring_decoder: str = ""
    measures: tuple[str, ...] = ()
    own: tuple[tuple[str, str], ...] = ()


def identify(config: Config) -> Models:
    """Fingerprint the models. Raises p2p.ModelError, p2p.P2PError and filters.FilterError for a missing one."""
    return Models(
        generator=p2p.fingerprint(config.model.path, config.model.revision),
        clip=filters.fingerprint(config.filter.name, config.filter.pretrained),
        scoring_decoder=p2p.fingerprint(small) if (small := config.model.scoring_decoder) else "",
        measures=tuple(filters.measure_fingerprint(spec) for spec in make_measure_specs(config.filter)),
        own=tuple(_own(config)),
    )


def _own(config: Config) -> Iterator[tuple[str, str]]:
    if config.model.family:
        yield "model.family", family_digest(config.model.family)
    if config.sampler.name not in set(SamplerName):
        # Imported here: the samplers import torch, which takes seconds.
        from p2p.samplers.sampler_registry import sampler_digest

        yield "sampler.name", sampler_digest(config.sampler.name)


def difference(planned: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """The differing settings, as "name was a, is b"."""
    return [f"{name} was {before}, is {after}" for name, before, after in changes(planned, now)]


def changes(planned: dict[str, Any], now: dict[str, Any]) -> list[Change]:
    """The differing settings, sorted by name."""
    names = sorted(planned.keys() | now.keys())
    return [
        (name, repr(planned.get(name)), repr(now.get(name)))
        for name in names
        if planned.get(name) != now.get(name)
    ]
