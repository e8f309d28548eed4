"""Loads the measures that a configuration lists, each by its kind, and fingerprints them."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from conf.messages import error_line
from filters.choice import Bounds
from filters.clip.clip_fingerprint import file_digest, folder_digest
from filters.errors import FilterError
from filters.measures.measure import Measure

WITH_MODEL = ("dino", "classifier", "lpips")
MEASURE_KINDS = (*WITH_MODEL, "ssim", "changed_area")


_RANGES = {
    "dino": (-1, 1),
    "classifier": (0, 1),
    "lpips": (0, math.inf),
    "ssim": (-1, 1),
    "changed_area": (0, 1),
}
"""The lowest and the highest score of each kind."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class OwnMeasure(Protocol):
    """A module outside this package that brings a measure."""

    def load(self, spec: MeasureSpec, device: str) -> Measure:
        """Loads the measure, ready to score. It may raise FilterError."""
        ...


@dataclass(frozen=True)
class MeasureSpec:
    """One entry of the list.

    Attributes:
        kind: dino, lpips, ssim, changed_area, classifier, or the name of the module `own`.
        name: name of the score and of the reason of a rejection; "" is the kind's default.
        model: a folder or a name on the hub for dino and classifier; a safetensors file for lpips.
        revision: revision of a model on the hub.
        label: label of the classifier whose probability is the score.
        tolerance: tolerance of changed_area.
        bounds: bounds that a kept candidate meets.
        own: a module outside this package, which may use `model`, `label` and `tolerance` as it likes.
        source: digest of that module's source, which is part of the fingerprint.

    Raises:
        FilterError: an unknown kind, a model or label that is missing or not used, a name that cannot name a column.
    """

    kind: str
    name: str = ""
    model: str = ""
    revision: str | None = None
    label: str = ""
    tolerance: float = 0.1
    bounds: Bounds = field(default_factory=Bounds)
    own: OwnMeasure | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if self.own is None:
            self._check_kind()
        if not _NAME.fullmatch(self.score):
            raise FilterError(f"a measure cannot be called {self.score!r}: give small letters, digits and _")

    def _check_kind(self) -> None:
        if self.kind not in MEASURE_KINDS:
            raise FilterError(f"there is no measure {self.kind!r}: there are {', '.join(MEASURE_KINDS)}")
        if (self.kind in WITH_MODEL) != bool(self.model):
            raise FilterError(
                f"measure {self.kind} {'needs a model' if self.kind in WITH_MODEL else 'takes no model'}"
            )
        if (self.kind == "classifier") != bool(self.label):
            raise FilterError(
                f"measure {self.kind} {'needs a label' if self.kind == 'classifier' else 'takes no label'}"
            )

        low, high = _RANGES[self.kind]
        if self.bounds.least > high or self.bounds.most < low:
            raise FilterError(
                f"measure {self.kind} lies from {low} to {high}: no candidate can be from {self.bounds.least:g} to "
                f"{self.bounds.most:g}"
            )

    @property
    def score(self) -> str:
        """The name of the score."""
        defaults = {"dino": "dino_sim", "classifier": self.label}
        return self.name or defaults.get(self.kind) or self.kind.rpartition(".")[2]


def load_measure(spec: MeasureSpec, device: str = "auto") -> Measure:
    """Loads a measure, ready to score.

    Raises:
        FilterError: a model that cannot be loaded.
    """
    if spec.own is not None:
        return spec.own.load(spec, device)
    # Imported here, because each imports a library that takes seconds.
    if spec.kind == "dino":
        from filters.measures.dino import Dino

        return Dino(spec.model, spec.revision, device)
    if spec.kind == "classifier":
        from filters.measures.classifier import Classifier

        return Classifier(spec.model, spec.label, spec.revision, device)
    if spec.kind == "lpips":
        from filters.measures.lpips import Lpips

        return Lpips(spec.model, device)
    if spec.kind == "ssim":
        from filters.measures.ssim import Ssim

        return Ssim()
    from filters.measures.changed_area import ChangedArea

    return ChangedArea(spec.tolerance)


def measure_fingerprint(spec: MeasureSpec) -> str:
    """Hex SHA-256 that changes with the scores: from the bytes of a folder or file, or the commit of a hub's model.

    Raises:
        FilterError: no such model.
    """
    model = _identify_model(spec) if spec.model else ""
    parts = [spec.kind, model, spec.label, spec.tolerance, *([spec.source] if spec.own else [])]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _identify_model(spec: MeasureSpec) -> str:
    path = Path(spec.model)
    if spec.kind == "lpips":
        # Imported here, as in load_measure.
        from filters.measures.lpips import find_weights

        path = find_weights(spec.model)
    if path.is_file():
        return file_digest(path)
    if path.is_dir():
        return folder_digest(path)
    # Imported here, because it takes a third of a second.
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(spec.model, revision=spec.revision, allow_patterns=["config.json"])
        ).name
    except (OSError, ValueError) as error:
        raise FilterError(
            f"{spec.model}: no such folder here, and not to be had from the hub: {error_line(error)}"
        ) from error
