"""The run that makes images from caption pairs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from rich.console import Console

import filters
from conf.config_errors import ConfigError
from conf.running import ClusterKind
from conf.schema import OF_IMAGES, Config, EditMethod
from conf.sweeps import RandomSweep
from miniworld.scene_captions import unknown_words
from p2p.inversion.inversion_check import check_inversion
from p2p.models.family_registry import family_name
from p2p.models.model_limits import model_limits
from p2p.samplers.scheduler_config import check_sampling
from pipeline.config.hub_models import check_hub_models
from pipeline.dataset import contact_sheet
from pipeline.dataset.card import card
from pipeline.dataset.contact_sheet import SHEET, read_previews
from pipeline.dataset.funnel import Funnel, funnel_of
from pipeline.dataset.pack import pack
from pipeline.dataset.quarantine import write_failures
from pipeline.planning import caption_input, run_fingerprint
from pipeline.planning.plan import Plan
from pipeline.planning.run_fingerprint import Models
from pipeline.report.template import REPORT
from pipeline.tasks import two_step_output
from pipeline.tasks.funnel_table import image_table
from pipeline.tasks.prior_from import freeze_priors
from stages.candidates.requests import inversion_name
from stages.records import CaptionPair, Quarantined, UnitResult
from stages.storage.commits import PARTS, parts_deleted
from stages.storage.plan_files import read_units
from stages.storage.store import Store
from stages.write import encode_part

PRESET_FAMILIES = {
    "sd15": "sd",
    "sd21": "sd",
    "sdxl": "sdxl",
    "sdxl_turbo": "sdxl",
    "sd3": "sd3",
    "flux": "flux",
}
"""The family of models whose defaults an option ``model=NAME`` sets."""

MINIWORLD = "miniworld"
ADVISED_PAIRS, ADVISED_WORDS = 500, 3
"""Caption pairs that are looked at for words unknown to the mini world, and words that a line names."""


@dataclass(frozen=True)
class ImageTask:
    """Reads caption pairs and makes samples of them; see ``pipeline.planning.plan.PlanSource``.

    ``nouns`` are plural nouns for what the run reads and what it makes.
    """

    config: Config
    nouns = ("pairs", "samples")

    def freeze(self, store: Store) -> ImageTask:
        """Return the task with the priors that an earlier output gives. Raises as ``freeze_priors``."""
        return ImageTask(freeze_priors(self.config, store))

    def check(self) -> None:
        """Raise ValueError for a model that is missing, before anything is planned."""
        self.identify()

    def read(self) -> Iterator[CaptionPair | Quarantined]:
        return caption_input.read(self.config)

    def source_digest(self) -> str:
        return caption_input.source_digest(self.config)

    def identify(self) -> Models:
        self._check_hub()
        self._check_device()
        # Before the fingerprint, which reads all of a folder, this check tells whether it is a model's.
        self._check_fit()
        return run_fingerprint.identify(self.config)

    def _check_hub(self) -> None:
        """Raise ConfigError or FilterError for a model that is neither here nor on a hub that answers at once."""
        model, scorer = self.config.model, self.config.filter
        measured = [(f"filter.measures.{m.kind}.model", m.model, m.revision) for m in scorer.measures]
        check_hub_models(
            ("model.path", model.path, model.revision),
            ("model.scoring_decoder", model.scoring_decoder, None),
            *measured,
        )
        # The workers of a cluster look on their own machines.
        if self.config.cluster.kind is ClusterKind.local:
            filters.check_hub(scorer.name, scorer.pretrained)

    def _check_device(self) -> None:
        """Raise ConfigError for a GPU that this machine, which runs the workers, does not have."""
        device = self.config.model.device
        if device.startswith("cuda") and self.config.cluster.kind is ClusterKind.local:
            # Imported here, because it takes seconds.
            import torch

            if not torch.cuda.device_count():
                raise ConfigError(
                    f"model.device={device}: PyTorch finds no GPU on this machine: give model.device=auto or cpu"
                )

    def _check_fit(self) -> None:
        """Raise ConfigError for a preset of another family, P2PError for a sampler or an option that does not fit."""
        model, sampler, edit = self.config.model, self.config.sampler, self.config.edit
        if model.family:
            return
        family, wanted = family_name(model.path, model.revision), PRESET_FAMILIES.get(model.name)
        if wanted and family != wanted:
            raise ConfigError(
                f"model={model.name} is for models of the family {wanted}, and model.path={model.path} is of {family}: "
                "give model=path for the defaults of any model, or another model.path"
            )
        spacing = sampler.spacing and sampler.spacing.value
        check_sampling(model.path, model.revision, sampler.name, sampler.steps, spacing)
        # The baselines have no injection that the size could limit.
        self_max_size = edit.self_max_size if edit.method is EditMethod.p2p else None
        limits = model_limits(model.path, model.revision)
        limits.check(sampler.negative_prompt, sampler.guidance_interval, self_max_size)

    def check_images(self) -> None:
        """Raise P2PError for a sampler or a model with which the chosen inversion cannot work."""
        model, sampler, edit = self.config.model, self.config.sampler, self.config.edit
        if edit.method is EditMethod.p2p:
            limits = model_limits(model.path, model.revision, model.family)
            sweep = self.config.sweep
            guidance = sweep.guidance_max if isinstance(sweep, RandomSweep) else sampler.guidance
            check_inversion(
                inversion_name(self.config), sampler.name, sampler.negative_prompt, limits, guidance
            )

    def advice(self, store: Store, plan: Plan) -> str:
        """One line about settings of images that no caption pair has, or captions that the mini world cannot draw.

        Of the captions the first of the plan are looked at. "" if there is no such setting or caption.
        """
        idle = [
            f"{group}.{name}"
            for group, names in OF_IMAGES.items()
            for name in names
            if getattr(getattr(self.config, group), name) is not None
        ]
        if idle and not plan.images:
            return f"{idle[0]} has no effect: no caption pair has an image"
        if self.config.model.name != MINIWORLD:
            return ""
        units = read_units(store, min(plan.units, ADVISED_PAIRS // self.config.unit_pairs + 1))
        pairs = list(islice((pair for unit in units for pair in unit.pairs), ADVISED_PAIRS))
        strange = [set(unknown_words(f"{pair.input} {pair.output}")) for pair in pairs]
        count = sum(map(bool, strange))
        if not count:
            return ""
        words = ", ".join(sorted(set().union(*strange))[:ADVISED_WORDS])
        return (
            f"{count} of the first {len(pairs)} caption pairs have words unknown to the mini world ({words}, …): "
            "it draws balls, boxes, houses and the like; for other images give model=sd15 model.path=…"
        )

    def settings(self, captions_sha256: str, models: Models) -> dict[str, Any]:
        return run_fingerprint.settings_of(self.config, captions_sha256, models)

    @property
    def shard_samples(self) -> int:
        """Samples of a shard, which may be packed as soon as its units are committed."""
        return self.config.shards.samples

    @property
    def encode(self) -> Callable[[UnitResult], dict[str, bytes]]:
        """The function that encodes a unit's result as files by kind. It can be pickled."""
        shards = self.config.shards
        return partial(encode_part, format=shards.format, quality=shards.quality)

    def finish(self, plan: Plan, store: Store, commits: Iterable[dict[str, Any]]) -> Funnel:
        """Pack the units and write the contact sheet, the dataset card and the report.

        Sheet and report stay as they are if the parts, which hold the pictures, were deleted since.
        """
        pack(store, commits, self.config.shards.samples)
        funnel = funnel_of(plan, commits)
        write_failures(store, commits)
        has_parts = not parts_deleted(store, commits)
        shown = list(read_previews(store, commits)) if has_parts else []
        if shown:
            store.write(SHEET, contact_sheet.draw(shown))
        has_sheet = bool(shown) if has_parts else store.exists(SHEET)
        has_pairs = two_step_output.pairs_store(store) is not None
        text = card(self.config, funnel, has_sheet, has_pairs, plan.duplicates, images=plan.images)
        store.write("README.md", text.encode())
        if has_parts or not store.exists(REPORT):
            self.write_report(store)
        return funnel

    def write_report(self, store: Store) -> bool:
        """Write report/index.html again; False if the pictures for it are gone."""
        # matplotlib takes a second to import, which a wrong setting need not wait for.
        from pipeline.report import page

        return page.write_report(store, two_step_output.pairs_funnel(store))

    def tell(self, funnel: Funnel, first_kept: float | None) -> None:
        """Print the funnel, the speed, and where the dataset is.

        ``first_kept``: seconds from the command to the first kept sample, None if this command made none.
        """
        console = Console(highlight=False, soft_wrap=True)
        console.print(image_table(funnel), soft_wrap=False)
        if first_kept is not None:
            console.print(
                f"\nFirst sample kept after {first_kept:.0f} s; "
                f"{funnel.utilisation:.0%} of the workers' time went into denoising"
            )
        if funnel.score_shift:
            shifts = ", ".join(f"{name} {shift:.4f}" for name, shift in funnel.score_shift.items())
            console.print(f"Score shift of the scoring decoder, mean absolute: {shifts}")
        out = self.config.out
        where = out if "://" in out else os.path.relpath(out)
        if funnel.samples:
            console.print(f"\nThe dataset is in {where}: data/*.tar, scores/*.parquet, report/index.html")
        if first_kept is None and funnel.candidates and not Store(out).list(PARTS):
            console.print("run/parts was deleted: contact sheet and report stay as they are")
        if funnel.failed:
            console.print(f"{funnel.failed} caption pairs failed: quarantine/pairs.jsonl gives the reasons")
        if funnel.candidates and not funnel.samples:
            console.print(
                f"Nothing was kept: {where}/scores/*.parquet shows what each candidate missed (filter.clip_sim_…)"
            )
