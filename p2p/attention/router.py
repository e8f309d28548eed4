"""From the walkers of a batch to the routing of its rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from p2p.attention.routing import LEAST, PLAIN, CrossRouting, Injected, Routing, SelfRouting, Watch
from p2p.families.family import Family
from p2p.sweep.sweep_plan import Mixing
from p2p.sweep.trajectory import Job, Walker
from p2p.sweep.transfer import to_device


def route(jobs: Sequence[Job], family: Family, rows: int, compiled: bool = False) -> Routing:
    """Who takes attention from whom among ``rows`` rows: first every walker's, then the unguided ones, then padding.

    Args:
        jobs: the walkers.
        family: the denoiser.
        rows: B, at least as many as the walkers have.
        compiled: whether the lengths that vary from batch to batch are to be marked for the compiler. It takes those
            of 0 and 1 for constants, and makes a graph for each; so there are two of everything then.
    """
    walkers = [(walker, job[0]) for job in jobs for walker in job]
    row = {id(walker): k for k, (walker, _) in enumerate(walkers)}
    guided = [walker for walker, _ in walkers if walker.guided]
    unguided_row = {id(walker): len(walkers) + k for k, walker in enumerate(guided)}

    watched = {row[id(walker)]: walker for walker, _ in walkers if walker.seen is not None}
    self_source = {k: k for k in range(rows)}
    cross_source: dict[int, int] = {}
    mixings: dict[int, Mixing] = {}
    for walker, leader in walkers:
        if walker.branch is None:
            continue
        injection = walker.branch.injection(walker.step)
        if injection.self_attention:
            self_source[row[id(walker)]] = row[id(leader)]
            if walker.plan.request.inject_unconditional and walker.guided:
                self_source[unguided_row[id(walker)]] = unguided_row[id(leader)]
        mixing = walker.plan.mixings[injection.cross]
        if mixing is not None:
            mixings[row[id(walker)]] = mixing
            cross_source[row[id(walker)]] = row[id(leader)]
    if not mixings and not watched and all(k == source for k, source in self_source.items()):
        return PLAIN
    filled = len(walkers) + len(guided)
    cross, place = _cross_routing(filled, cross_source, mixings, watched, family, compiled)
    return Injected(
        cross,
        _self_routing(filled, self_source, family.device, compiled),
        _watch([place[k] for k in watched], list(watched.values()), family, compiled) if watched else None,
        compiled,
    )


def _self_routing(
    filled: int, source: Mapping[int, int], device: torch.device, compiled: bool
) -> SelfRouting:
    place = _places([source[k] for k in range(filled)])
    at = [place.get(own, 0) for own in source.values()]
    return SelfRouting(_index(place, device, compiled), to_device(at, device))


def _cross_routing(
    filled: int,
    source: Mapping[int, int],
    mixings: Mapping[int, Mixing],
    watched: Iterable[int],
    family: Family,
    compiled: bool,
) -> tuple[CrossRouting, dict[int, int]]:
    """The routing, and the place of each row whose maps are used: the watched ones' among them."""
    S, device, dtype = family.window, family.device, family.dtype
    alone = torch.ones(S, 1, device=device, dtype=dtype)
    Dc = {k: mixings[k].Dc if k in mixings else alone for k in range(filled)}
    Rc = {k: mixing.Rc for k, mixing in mixings.items()}
    own = {k: column for k, column in Dc.items() if column is not None}
    edited = {k: matrix for k, matrix in Rc.items() if matrix is not None}
    place = _places([*own, *watched, *(source[k] for k in edited)])
    routing = CrossRouting(
        rows=_index(place, device, compiled),
        own=_index(own, device, compiled),
        own_at=_index([place[k] for k in own], device, compiled),
        Dc=_stack(own.values(), (S, 1), family, compiled),
        edited=_index(edited, device, compiled),
        edited_at=_index([place[source[k]] for k in edited], device, compiled),
        Rc=_stack(edited.values(), (S, S), family, compiled),
    )
    return routing, place


def _watch(places: list[int], walkers: Sequence[Walker], family: Family, compiled: bool) -> Watch:
    """Sums of the batch's own: what a walker has seen is not written to, for a fork has seen it too."""
    columns = torch.stack([walker.columns for walker in walkers if walker.columns is not None])
    sums = torch.stack([walker.seen for walker in walkers if walker.seen is not None])
    if compiled:
        columns, sums = _marked(columns), _marked(sums)
    return Watch(_index(places, family.device, compiled), columns, (sums,))


def _places(rows: Iterable[int]) -> dict[int, int]:
    return {row: place for place, row in enumerate(sorted(set(rows)))}


def _index(rows: Iterable[int], device: torch.device, compiled: bool) -> Tensor:
    index = list(rows)
    if not compiled:
        return to_device(index, device)
    index += [index[0] if index else 0] * (LEAST - len(index))
    return _marked(to_device(index, device))


def _stack(matrices: Iterable[Tensor], shape: tuple[int, int], family: Family, compiled: bool) -> Tensor:
    stacked = list(matrices)
    if compiled:
        stacked += [torch.zeros(shape, device=family.device, dtype=family.dtype)] * (LEAST - len(stacked))
    if not stacked:
        return torch.zeros(0, *shape, device=family.device, dtype=family.dtype)
    return _marked(torch.stack(stacked)) if compiled else torch.stack(stacked)


def _marked(tensor: Tensor) -> Tensor:
    torch._dynamo.mark_dynamic(tensor, 0)
    return tensor
