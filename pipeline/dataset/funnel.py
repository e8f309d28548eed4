"""Funnel of a run: counts from the lines read to the samples kept, and the texts of the reasons for rejections."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pipeline.planning.plan import Plan

SCORE_MEANINGS = {
    "clip_sim_0": "source and its caption",
    "clip_sim_1": "edit and its caption",
    "clip_sim_dir": "direction of the edit",
    "clip_sim_image": "likeness of the two",
}
CLIP_REASONS = {name: f"below the threshold of {name} ({text})" for name, text in SCORE_MEANINGS.items()}
LATER_REASONS = {
    "left_early": "stopped early, because it was predicted to miss a threshold",
    "other_tau_of_seed": "passed, but another tau of the seed was better",
    "max_per_pair": "passed, but the pair has its share",
    "near_duplicate": "passed, but almost the same as one that was kept",
    "no_image": "passed, but its image was not stored",
    "full_decode": "passed by the scoring decoder, but not when decoded in full",
}
REASONS = CLIP_REASONS | LATER_REASONS
"""Texts by reason, in the order in which a candidate is checked. Other reasons are the names of measures."""

LABELS = {
    "": "kept",
    "left_early": "stopped early",
    "clip_sim_0": "source unlike caption",
    "clip_sim_1": "edit unlike caption",
    "clip_sim_dir": "direction too low",
    "clip_sim_image": "too unlike source",
    "other_tau_of_seed": "another tau is better",
    "max_per_pair": "pair has its share",
    "full_decode": "not in full decoding",
    "near_duplicate": "like a better one",
    "no_image": "image not stored",
}
"""Short texts for the contact sheet."""

OPTIONAL_CHECKS = ("left_early", "near_duplicate", "no_image")


@dataclass
class Funnel:
    """Counts over the units committed so far; ``rejected`` is by reason.

    ``rescored`` and ``shifts`` are sums of the fields of ``stages.records.UnitResult``.
    """

    read: int = 0
    quarantined: int = 0
    pairs: int = 0
    failed: int = 0
    candidates: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    samples: int = 0
    pairs_kept: int = 0
    rows: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    rescored: int = 0
    shifts: dict[str, float] = field(default_factory=dict)

    def add(self, commit: dict[str, Any]) -> None:
        """Add the counts of a unit from its commit or its summary."""
        self.failed += len(commit["failures"])
        for name in ("pairs", "candidates", "samples", "pairs_kept", "rows", "rescored"):
            setattr(self, name, getattr(self, name) + commit[name])
        for name in ("rejected", "seconds", "shifts"):
            totals = getattr(self, name)
            for key, value in commit[name].items():
                totals[key] = totals.get(key, 0) + value

    @property
    def utilisation(self) -> float:
        """The share of denoising in the workers' time since their models were loaded."""
        return self.seconds.get("denoise", 0.0) / (sum(self.seconds.values()) or 1.0)

    @property
    def score_shift(self) -> dict[str, float]:
        """The mean absolute difference of each score between the scoring decoder and the full decoder."""
        return {name: total / self.rescored for name, total in self.shifts.items() if self.rescored}

    @property
    def keep_rate(self) -> float:
        """The share of caption pairs with at least one sample kept."""
        return self.pairs_kept / self.pairs if self.pairs else 0.0


def funnel_of(plan: Plan, commits: Iterable[dict[str, Any]]) -> Funnel:
    funnel = Funnel(read=plan.pairs + plan.quarantined, quarantined=plan.quarantined)
    for commit in commits:
        funnel.add(commit)
    return funnel


def image_steps(funnel: Funnel) -> list[tuple[str, int]]:
    """The steps of a run that makes images, from the lines read to the samples kept."""
    return [
        ("lines read", funnel.read),
        ("caption pairs done", funnel.pairs),
        ("candidates", funnel.candidates),
        ("samples kept", funnel.samples),
        ("pairs with a sample", funnel.pairs_kept),
    ]


def caption_steps(funnel: Funnel) -> list[tuple[str, int]]:
    """The steps of a run that writes caption pairs, from the captions read to the pairs kept."""
    return [
        ("captions read", funnel.read),
        ("captions done", funnel.pairs),
        ("answers", funnel.candidates),
        ("caption pairs kept", funnel.samples),
        ("captions with a pair", funnel.pairs_kept),
    ]


def describe_reason(reason: str) -> str:
    """The text of a candidate's reason."""
    return REASONS.get(reason) or f"out of the bounds of {reason}"


def label_reason(reason: str) -> str:
    """The short text of a candidate's reason; "kept" if it has none."""
    return LABELS.get(reason, f"{reason} out of bounds")


def list_reasons(funnel: Funnel) -> dict[str, str]:
    """Texts of the reasons to show, in the order of the checks: CLIP, measures, then the others.

    Leaves out the optional checks that rejected nothing.
    """
    measures = sorted(reason for reason in funnel.rejected if reason not in REASONS)
    later = [
        reason
        for reason in LATER_REASONS
        if (reason != "full_decode" or funnel.rescored)
        and (reason not in OPTIONAL_CHECKS or reason in funnel.rejected)
    ]
    return {reason: describe_reason(reason) for reason in (*CLIP_REASONS, *measures, *later)}
