"""The report of a run that writes caption pairs: what kinds of edits there are, how long, how varied, and examples."""

from __future__ import annotations

import io
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from itertools import pairwise

import pyarrow.parquet as pq
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from pipeline.funnel import Funnel
from pipeline.pairs.pack import ANSWERS
from stages.answers import WrittenPair
from stages.store import Store
from stages.writers.checks import REASONS

NAME = "report/index.html"
VERBS = 20
REFUSED = 3
"""Examples of each reason."""

Bar = tuple[str, int, float]
"""What it counts, how many, and the share of all."""


@dataclass
class Tally:
    """What is counted of the answers, one after the other."""

    kept: int = 0
    verbs: Counter[str] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    runs: Counter[tuple[str, str]] = field(default_factory=Counter)
    instructions: set[str] = field(default_factory=set)
    examples: list[WrittenPair] = field(default_factory=list)
    refused: dict[str, list[WrittenPair]] = field(default_factory=dict)

    def add(self, answer: WrittenPair, shown: int) -> None:
        """Count an answer; the first ``shown`` that are kept are examples."""
        if not answer.kept:
            examples = self.refused.setdefault(answer.reason, [])
            if len(examples) < REFUSED:
                examples.append(answer)
            return
        words = re.findall(r"\w+", answer.instruction.casefold())
        self.kept += 1
        self.verbs[words[0] if words else "?"] += 1
        self.lengths[len(words)] += 1
        self.words.update(words)
        self.runs.update(pairwise(words))
        self.instructions.add(" ".join(words))
        if len(self.examples) < shown:
            self.examples.append(answer)


def write(store: Store, funnel: Funnel, title: str, shown: int) -> None:
    """Write report/index.html of the packed answers; ``shown`` of those kept are examples."""
    tally = Tally()
    table = pq.ParquetFile(io.BytesIO(store.read(ANSWERS)))
    for batch in table.iter_batches(4096):
        for row in batch.to_pylist():
            tally.add(WrittenPair(**row), shown)
    store.write(NAME, html(funnel, tally, title).encode())


def html(funnel: Funnel, tally: Tally, title: str) -> str:
    """The whole page, in one file."""
    templates = Environment(
        loader=PackageLoader("pipeline.report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    css = resources.files("pipeline.report").joinpath("page.css").read_text(encoding="utf-8")
    known = {reason: text for reason, text in REASONS.items() if reason in funnel.rejected}
    return templates.get_template("pairs.html").render(
        css=Markup(css),
        title=title,
        funnel=funnel,
        steps=[
            ("captions read", funnel.read),
            ("captions done", funnel.pairs),
            ("answers", funnel.candidates),
            ("caption pairs kept", funnel.samples),
            ("captions with a pair", funnel.pairs_kept),
        ],
        losses=_bars(((text, funnel.rejected[reason]) for reason, text in known.items()), funnel.candidates),
        verbs=_bars(tally.verbs.most_common(VERBS), tally.kept),
        lengths=_bars(((f"{n} words", tally.lengths[n]) for n in sorted(tally.lengths)), tally.kept),
        diversity=diversity(tally),
        examples=tally.examples,
        refused=[(text, tally.refused[reason]) for reason, text in known.items() if reason in tally.refused],
        made=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    )


def diversity(tally: Tally) -> Sequence[tuple[str, str]]:
    """How varied the kept instructions are; distinct-n as Li et al. 2016 have it: different runs of n words by all."""
    shares = (
        ("different instructions", len(tally.instructions), tally.kept),
        ("distinct-1, of words", len(tally.words), tally.words.total()),
        ("distinct-2, of pairs of words", len(tally.runs), tally.runs.total()),
    )
    told = [(name, f"{count / of:.1%}") for name, count, of in shares if of]
    return [*told, ("different verbs", f"{len(tally.verbs):,}")]


def _bars(counts: Iterable[tuple[str, int]], of: int) -> list[Bar]:
    return [(name, count, count / of if of else 0.0) for name, count in counts]
