"""Measures by their kind: what a configuration lists, loaded."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from huggingface_hub import snapshot_download

from conf.messages import error_line
from filters.clip.clip_fingerprint import file_digest, folder_digest
from filters.errors import FilterError
from filters.measures.lpips_weights import lpips_weights
from filters.measures.measure import Bounds, Measure

# Those that look at the images with a model; the others need none.
WITH_MODEL = ("dino", "classifier", "lpips")
KINDS = (*WITH_MODEL, "ssim", "changed_area")


class OwnMeasure(Protocol):
    """A module outside this package."""

    def load(self, spec: MeasureSpec, device: str) -> Measure:
        """The measure, ready to score. It may raise FilterError for what it cannot do."""
        ...


_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class MeasureSpec:
    """One entry of the list.

    Attributes:
        kind: dino, lpips, ssim, changed_area or classifier; of `own` its name.
        name: of its score and of the reason for what is rejected by it; "" is the kind's own.
        model: of dino and classifier, a folder or a name on the hub; of lpips a safetensors file.
        revision: of a model on the hub.
        label: the classifier's, whose probability is the score.
        tolerance: of changed_area.
        bounds: that a kept candidate respects.
        own: a module of one's own, to which `model`, `label` and `tolerance` mean what it likes.
        source: the digest of that module's source, which is part of what it says.

    Raises:
        FilterError: an unknown kind, a model that is missing or not wanted, a name that cannot name a column.
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
        if self.kind not in KINDS:
            raise FilterError(f"there is no measure {self.kind!r}: there are {', '.join(KINDS)}")
        if (self.kind in WITH_MODEL) != bool(self.model):
            raise FilterError(
                f"measure {self.kind} {'needs a model' if self.kind in WITH_MODEL else 'takes no model'}"
            )
        if (self.kind == "classifier") != bool(self.label):
            raise FilterError(
                f"measure {self.kind} {'needs a label' if self.kind == 'classifier' else 'takes no label'}"
            )

    @property
    def score(self) -> str:
        """The name of its score."""
        called = {"dino": "dino_sim", "classifier": self.label}
        return self.name or called.get(self.kind) or self.kind.rpartition(".")[2]


def load_measure(spec: MeasureSpec, device: str = "auto") -> Measure:
    """The measure, ready to score.

    Raises:
        FilterError: what its model lacks.
    """
    if spec.own is not None:
        return spec.own.load(spec, device)
    # Each brings a library that takes seconds to import: only who measures waits for it.
    if spec.kind == "dino":
        from filters.measures.dino import Dino

        return Dino(spec.model, spec.revision, device)
    if spec.kind == "classifier":
        from filters.measures.classifier import Classified

        return Classified(spec.model, spec.label, spec.revision, device)
    if spec.kind == "lpips":
        from filters.measures.lpips import Lpips

        return Lpips(spec.model, device)
    if spec.kind == "ssim":
        from filters.measures.ssim import Ssim

        return Ssim()
    from filters.measures.changed_area import ChangedArea

    return ChangedArea(spec.tolerance)


def measure_fingerprint(spec: MeasureSpec) -> str:
    """Hex SHA-256 that changes with what the measure says: of a folder or file its bytes, of a hub's model the commit.

    Raises:
        FilterError: no such model.
    """
    model = _content(spec) if spec.model else ""
    said = [spec.kind, model, spec.label, spec.tolerance, *([spec.source] if spec.own else [])]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _content(spec: MeasureSpec) -> str:
    if spec.kind == "lpips":
        return file_digest(lpips_weights(spec.model))
    path = Path(spec.model)
    if path.is_file():
        return file_digest(path)
    return folder_digest(path) if path.is_dir() else _commit(spec)


def _commit(spec: MeasureSpec) -> str:
    try:
        return Path(
            snapshot_download(spec.model, revision=spec.revision, allow_patterns=["config.json"])
        ).name
    except (OSError, ValueError) as error:
        raise FilterError(
            f"{spec.model}: no such folder here, and not to be had from the hub: {error_line(error)}"
        ) from error
