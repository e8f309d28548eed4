"""The report of a run that writes caption pairs: kinds, lengths and variety of the edits, and examples."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dataset.funnel import Funnel, caption_steps
from pipeline.pairs.answer_statistics import Tally, difference, diversity
from pipeline.pairs.pack_pairs import ANSWERS
from pipeline.report.template import REPORT, template
from stages.records import WrittenPair
from stages.storage.store import Store
from stages.writers.checks import REASONS

VERBS, PHRASES, COMMON = 20, 3, 8

Bar = tuple[str, str, int, float]
"""Name, remark, count, and share of all."""


def write(store: Store, funnel: Funnel, title: str, shown: int) -> None:
    """Write report/index.html of the packed answers; ``shown`` of those kept are examples."""
    tally = Tally(shown)
    table = pq.ParquetFile(pa.BufferReader(store.read(ANSWERS)))
    for batch in table.iter_batches(4096):
        for record in batch.to_pylist():
            tally.add(WrittenPair(**record))
    store.write(REPORT, html(funnel, tally, title).encode())


def html(funnel: Funnel, tally: Tally, title: str) -> str:
    """The whole page, in one file."""
    known = {reason: text for reason, text in REASONS.items() if reason in funnel.rejected}
    common = [(text, count) for text, count in tally.instructions.most_common(COMMON) if count > 1]
    return template("pairs.html").render(
        title=title,
        funnel=funnel,
        steps=caption_steps(funnel),
        losses=_bars(
            ((text, "", funnel.rejected[reason]) for reason, text in known.items()), funnel.candidates
        ),
        verbs=_bars(_verbs(tally), tally.kept),
        more_verbs=max(0, len(tally.verbs) - VERBS),
        lengths=_bars(
            ((f"{n} words" if n > 1 else "1 word", "", tally.lengths[n]) for n in sorted(tally.lengths)),
            tally.kept,
        ),
        common=_bars(((text, "", count) for text, count in common), tally.kept),
        diversity=diversity(tally),
        examples=tally.examples.answers(),
        refused=[
            (text, funnel.rejected[reason], tally.refused[reason].answers())
            for reason, text in known.items()
            if reason in tally.refused
        ],
        difference=difference,
        made=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    )


def _verbs(tally: Tally) -> Iterable[tuple[str, str, int]]:
    """The most frequent verbs, each with the phrases that follow it most often and the share that was kept."""
    for verb, count in tally.verbs.most_common(VERBS):
        phrases = ", ".join(text for text, _ in tally.phrases[verb].most_common(PHRASES) if text)
        kept = f"{count / tally.tried[verb]:.0%} of {tally.tried[verb]:,} kept" if tally.tried[verb] else ""
        yield verb, f"{phrases} · {kept}" if phrases and kept else phrases or kept, count


def _bars(counts: Iterable[tuple[str, str, int]], of: int) -> list[Bar]:
    return [(name, about, count, count / of if of else 0.0) for name, about, count in counts]
