"""Plans: the matrices of every injection, guidance, and the noise from which a sweep starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

import p2p
from p2p.attention.edit_matrices import cross_edit
from p2p.families.family import Family
from p2p.samplers.sampler_registry import make_sampler
from p2p.sweep.noise import starting_noise
from p2p.sweep.sweep_plan import SweepPlan, make_map_columns, make_plan
from p2p.sweep.tree import Branch, Injection
from tests import models

SOURCE, TARGET = "a red ball on grass", "a blue hexagon on grass and sand"
MakePlan = Callable[..., SweepPlan]


def planner(family: Family) -> MakePlan:
    sampler = cache(
        lambda name, steps, spacing: make_sampler(name, family.scheduler_config, steps, torch.device("cpu"))
    )

    def plan(target: str = TARGET, taus: tuple[float, ...] = (0.2, 0.8), **settings: Any) -> SweepPlan:
        return make_plan(3, p2p.SweepRequest(SOURCE, target, taus, **settings), family, sampler)

    return plan


@pytest.fixture
def plan(sd1_editor: p2p.Editor) -> MakePlan:
    return planner(sd1_editor.family)


def injections(branches: tuple[Branch, ...]) -> Iterator[Injection]:
    for branch in branches:
        yield from branch.injections
        yield from injections(branch.children)


def test_every_injection_of_the_tree_has_its_matrices(plan: MakePlan) -> None:
    made = plan(steps=10, word_taus={"hexagon": 0.5}, reweight={"grass": 2.0})
    assert made.index == 3
    assert {injection.cross for injection in injections(made.branches)} == set(made.mixings)
    assert set(made.mixings) == {(True, True), (True, False), (False, True), (False, False)}


def test_released_words_keep_their_own_attention(sd1_editor: p2p.Editor, plan: MakePlan) -> None:
    """For each injection the columns that are on take R diag(c), the others have D = 1; c counts always."""
    family = sd1_editor.family
    made = plan(steps=10, word_taus={"hexagon": 0.5}, reweight={"grass": 2.0})
    source, target = family.tokenize(SOURCE), family.tokenize(TARGET)
    edit = cross_edit(source, target, "auto", {"grass": 2.0})
    hexagon = list(target.tokens_of("hexagon", "word_taus"))
    for (others, word), mixing in made.mixings.items():
        on = torch.full((family.window,), others)
        on[hexagon] = word
        assert mixing is not None
        Rc = torch.zeros_like(edit.R) if mixing.Rc is None else mixing.Rc
        assert torch.equal(Rc, edit.R * edit.c * on)
        assert mixing.Dc is not None
        assert torch.equal(mixing.Dc[:, 0], torch.where(on, edit.D, 1.0) * edit.c)


def test_without_injection_and_weights_there_is_no_mixing(plan: MakePlan) -> None:
    made = plan(steps=10)
    assert made.mixings[(False,)] is None
    injected = made.mixings[(True,)]
    assert injected is not None
    assert injected.Rc is not None
    weighted = plan(steps=10, reweight={"grass": 0.5}).mixings[(False,)]
    assert weighted is not None
    assert weighted.Rc is None, "nothing is taken from the source"


def test_an_unchanged_prompt_has_no_attention_of_its_own(plan: MakePlan) -> None:
    mixing = plan(target=SOURCE, steps=4).mixings[(True,)]
    assert mixing is not None
    assert mixing.Dc is None
    assert torch.equal(mixing.Rc, torch.eye(len(mixing.Rc)))


def test_a_word_that_takes_nothing_has_no_injection_to_end(plan: MakePlan) -> None:
    """ "sand" is added, so its τ makes no branch."""
    alone, added = plan(steps=10), plan(steps=10, word_taus={"sand": 0.5})
    assert added.branches == alone.branches
    assert set(added.mixings) == set(alone.mixings)


def test_guidance_is_on_in_its_interval(plan: MakePlan) -> None:
    assert plan(steps=5, guidance_scale=2.0).guided == (True,) * 5
    assert plan(steps=5, guidance_scale=1.0).guided == (False,) * 5
    for sampler in ("ddim", "euler", "dpmpp_2m"):
        made = plan(steps=9, guidance_scale=2.0, guidance_interval=(0.5, 6.0), sampler=sampler)
        assert made.guided == tuple(0.5 < level <= 6.0 for level in made.sampler.noise_level.tolist())


def test_conditioning_is_that_of_the_prompts(sd1_editor: p2p.Editor, plan: MakePlan) -> None:
    made, family = plan(steps=2), sd1_editor.family
    for part, prompt in ((made.source, SOURCE), (made.target, TARGET), (made.unconditional[1], "")):
        assert torch.equal(part[0], family.encode(prompt)[0])


def test_a_long_prompt_is_cut_if_it_may_be(sd1_editor: p2p.Editor, plan: MakePlan) -> None:
    long = "a blue hexagon on grass " * 6
    with pytest.raises(p2p.P2PError, match="the model takes 20"):
        plan(target=long)
    cut = plan(target=long, too_long="truncate")
    assert torch.equal(cut.target[0], sd1_editor.family.encode(long, cut=True)[0])


def test_the_start_is_the_seed_s_noise_or_what_is_given(plan: MakePlan) -> None:
    shape = (4, 8, 8)
    assert torch.equal(plan(steps=3, seed=9).starting.x, starting_noise(9, shape))
    euler = plan(steps=3, seed=9, sampler="euler")
    assert torch.equal(euler.starting.x, euler.sampler.start(starting_noise(9, shape)).x)
    given = torch.full(shape, 0.5, dtype=torch.float64, requires_grad=True)
    start = plan(steps=3, latents=given).starting.x
    assert (start.dtype, start.requires_grad) == (torch.float32, False)
    assert torch.equal(start, torch.full(shape, 0.5))
    with pytest.raises(p2p.P2PError, match=r"latents have shape \(4, 8, 9\); the model needs \(4, 8, 8\)"):
        plan(latents=torch.zeros(4, 8, 9))


def test_map_columns_are_summed_in_the_layers_of_one_size(sd1_editor: p2p.Editor) -> None:
    family = sd1_editor.family
    source, target = torch.rand(2, family.window, 3)
    made = make_map_columns(family, source, target)
    assert made.layers == family.map_layers[made.size]
    assert made.zero_sums().shape == (made.size[0] * made.size[1], 3)
    assert torch.equal(made.source, source)
    assert torch.equal(made.target, target)


def test_an_edit_may_have_its_source_s_pooled_embedding(tmp_path: Path) -> None:
    plan = planner(p2p.load(models.save_stable_diffusion_xl(tmp_path), device="cpu").family)
    own, taken = plan(steps=2), plan(steps=2, pooled="source")
    assert torch.equal(own.target[0], taken.target[0])
    assert torch.equal(taken.target[1], own.source[1])
    assert not torch.equal(own.target[1], own.source[1])
