"""An output of two halves: with captions=from_captions the run that writes its caption pairs lies in OUT/pairs."""

from __future__ import annotations

from pipeline.dataset.funnel import Funnel
from pipeline.pairs.two_step_settings import folder_of
from pipeline.planning.plan import MANIFEST, load
from stages.storage.store import Store
from stages.write import committed


def writing(store: Store) -> Store | None:
    """The half that writes the output's caption pairs, if there is one and it is planned."""
    half = Store(folder_of(store.url))
    return half if half.exists(MANIFEST) and load(half).of_captions else None


def written(store: Store) -> Funnel | None:
    """What became of the captions of an output whose caption pairs were written first."""
    half = writing(store)
    if half is None or len(committed(half)) < load(half).units:
        return None
    # Imported here: most outputs are of images alone.
    from pipeline.tasks import pair_task

    return pair_task.ended(half)[1]


def planned(out: str) -> list[Store]:
    """The halves of an output that are planned, in the order in which they run; of most there is one.

    Raises PlanError for an output without a plan.
    """
    store = Store(out)
    first = writing(store)
    if first is not None and not store.exists(MANIFEST):
        return [first]
    load(store)
    return [store] if first is None else [first, store]
