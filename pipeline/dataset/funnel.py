"""The funnel: how many caption pairs came in, what became of their candidates, how many samples were kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pipeline.planning.plan import Plan

# In the order in which a candidate meets them.
REASONS = {
    "clip_sim_0": "below the threshold of clip_sim_0 (source and its caption)",
    "clip_sim_1": "below the threshold of clip_sim_1 (edit and its caption)",
    "clip_sim_dir": "below the threshold of clip_sim_dir (direction of the edit)",
    "clip_sim_image": "below the threshold of clip_sim_image (likeness of the two)",
    "left_early": "left on the way, for what was predicted there",
    "other_tau_of_seed": "passed, but another tau of the seed was better",
    "max_per_pair": "passed, but the pair has its share",
    "near_duplicate": "passed, but almost the same as one that was kept",
    "no_image": "passed, but its image was not stored",
    "full_decode": "passed by the scoring decoder, but not when decoded in full",
}

# Not told of where there are none: most runs do not look for them.
SELDOM = ("left_early", "near_duplicate", "no_image")
CLIP_REASONS = [reason for reason in REASONS if reason.startswith("clip_sim")]


@dataclass
class Funnel:
    """Counts over the units committed so far; ``rejected`` is by reason.

    ``rescored`` and ``shifts`` are those of ``stages.records.UnitResult``, summed.
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
        """Count a unit in, by its commit or its summary."""
        self.pairs += commit["pairs"]
        self.failed += len(commit["failures"])
        self.candidates += commit["candidates"]
        self.samples += commit["samples"]
        self.pairs_kept += commit["pairs_kept"]
        self.rows += commit["rows"]
        self.rescored += commit["rescored"]
        for key in ("rejected", "seconds", "shifts"):
            totals, counts = getattr(self, key), commit[key]
            for name, value in counts.items():
                totals[name] = totals.get(name, 0) + value

    @property
    def utilisation(self) -> float:
        """The fraction of the workers' time, from when their models were loaded, that went into denoising."""
        return self.seconds.get("denoise", 0.0) / (sum(self.seconds.values()) or 1.0)

    @property
    def score_shift(self) -> dict[str, float]:
        """The mean absolute difference of each score between the scoring decoder's images and those in full."""
        return {name: total / self.rescored for name, total in self.shifts.items() if self.rescored}

    @property
    def keep_rate(self) -> float:
        """The fraction of caption pairs with at least one sample kept."""
        return self.pairs_kept / self.pairs if self.pairs else 0.0


def worded(reason: str) -> str:
    """A candidate's reason in words: one that is no reason of `REASONS` is the name of a measure."""
    return REASONS.get(reason) or f"out of the bounds of {reason}"


def reasons_of(funnel: Funnel) -> dict[str, str]:
    """The reasons to tell of, in words, in the order in which a candidate meets them: measures follow upon CLIP's."""
    clip = {reason: REASONS[reason] for reason in CLIP_REASONS}
    measures = {reason: worded(reason) for reason in sorted(funnel.rejected) if reason not in REASONS}
    rest = {reason: text for reason, text in REASONS.items() if reason not in clip}
    if not funnel.rescored:
        del rest["full_decode"]
    for reason in SELDOM:
        if reason not in funnel.rejected:
            del rest[reason]
    return {**clip, **measures, **rest}


def funnel_of(plan: Plan, commits: Iterable[dict[str, Any]]) -> Funnel:
    funnel = Funnel(read=plan.pairs + plan.quarantined, quarantined=plan.quarantined)
    for commit in commits:
        funnel.add(commit)
    return funnel
