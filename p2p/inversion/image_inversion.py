"""Inversions of the images of requests: an image is encoded and inverted once for all requests that can share it."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from p2p.families.family import Family
from p2p.inversion.flow_edit import edit_flow
from p2p.inversion.inverse_sampler import make_inverse
from p2p.inversion.inversion_registry import BACKWARDS, METHODS
from p2p.inversion.inverted_image import InvertedImage
from p2p.samplers.sampler import State
from p2p.sweep.sweep_plan import SweepPlan


@dataclass(eq=False)
class ImageInversion:
    """Inversion of an image under its caption, without guidance; ``p2p.sweep.sweep_plan.Inversion``."""

    family: Family
    plan: SweepPlan
    trajectory: Tensor | None = None

    def prepare(self, plan: SweepPlan) -> SweepPlan:
        return METHODS[plan.request.inversion](replace(plan, inversion=None), self._image)

    @cached_property
    def _image(self) -> InvertedImage:
        assert self.trajectory is not None
        return InvertedImage(self.family, self.plan.source, self.trajectory)


@dataclass(eq=False)
class ImageInversions:
    """Inversions that requests share, with the latents of their images."""

    family: Family
    _latents: dict[str, Tensor] = field(default_factory=dict)
    _inversions: dict[tuple[Hashable, ...], ImageInversion] = field(default_factory=dict)

    def attach(self, plan: SweepPlan) -> SweepPlan:
        """Gives the plan of a request with an image its inversion. A restart begins with the image itself.

        Raises:
            P2PError: the sampler's steps cannot be inverted.
        """
        request = plan.request
        if request.image is None:
            return plan
        digest = hashlib.sha256(request.image.tobytes()).hexdigest()
        if digest not in self._latents:
            self._latents[digest] = self.family.decoder.encode(request.image)
        latents = self._latents[digest]
        if request.method == "flowedit":
            return edit_flow(plan, latents, self.family)
        if not plan.branches:
            return replace(plan, stored=latents[None])
        key: tuple[Hashable, ...] = (
            digest,
            request.source,
            request.too_long == "truncate",
            request.sampler,
            request.steps,
            request.spacing,
        )
        change = BACKWARDS.get(request.inversion)
        if change is not None:
            key += (request.inversion, request.seed)
        if key not in self._inversions:
            backwards = self._backwards(plan, latents)
            self._inversions[key] = ImageInversion(
                self.family, change(backwards, self.family) if change else backwards
            )
        return replace(plan, inversion=self._inversions[key])

    def _backwards(self, plan: SweepPlan, latents: Tensor) -> SweepPlan:
        """Makes the plan of an inversion: one row a step, under the source's caption."""
        source = plan.source
        if self.family.embeds_guidance:
            source = (*source[:-1], torch.ones_like(source[-1]))
        return replace(
            plan,
            sampler=make_inverse(plan.sampler, plan.request.sampler),
            source=source,
            branches=(),
            starting=State(latents),
            guided=(False,) * plan.request.steps,
            map_columns=None,
            blend=None,
            inverts=True,
        )
