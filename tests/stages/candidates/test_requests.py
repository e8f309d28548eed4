from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import p2p
from conf.compose import compose_config, to_object
from conf.schema import Config
from stages.candidates.requests import derive_seed, make_requests
from stages.records import CaptionPair

PAIR = CaptionPair("a red ball", "make it blue", "a blue ball")


def config(*settings: str) -> Config:
    return to_object(compose_config(settings, "/world/{}".format))


def test_seeds_are_those_of_every_earlier_release():
    # SHA-256 of "0:<pair id>:0:seed": a change here would change every dataset.
    assert derive_seed(0, "0123456789abcdef", 0) == 1_957_159_766


@given(st.integers(0, 2**31), st.integers(0, 200))
def test_a_seed_is_a_function_of_run_pair_and_sample(run_seed: int, index: int):
    seed = derive_seed(run_seed, PAIR.id, index)
    assert 0 <= seed < 2**32
    assert seed == derive_seed(run_seed, PAIR.id, index)
    assert seed != derive_seed(run_seed + 1, PAIR.id, index)
    assert seed != derive_seed(run_seed, PAIR.id, index + 1)
    assert seed != derive_seed(run_seed, CaptionPair("b", "", "c").id, index)


def test_a_grid_requests_every_tau_of_every_seed():
    requests = make_requests(
        PAIR, config("sweep.seeds=3", "sweep.taus=[0.1,0.9]", "sampler.guidance=4", "seed=5")
    )
    assert [tuple(request.taus) for request in requests] == [(0.1, 0.9)] * 3
    assert [request.seed for request in requests] == [derive_seed(5, PAIR.id, index) for index in range(3)]
    assert {request.guidance_scale for request in requests} == {4.0}
    assert {(request.source, request.target) for request in requests} == {("a red ball", "a blue ball")}


def test_a_random_sweep_draws_one_tau_and_one_guidance_a_sample():
    settings = ("sweep=random", "sweep.samples=200", "sweep.tau_min=0.1", "sweep.tau_max=0.9")
    requests = make_requests(PAIR, config(*settings))
    taus = [tau for request in requests for tau in request.taus]
    guidances = [request.guidance_scale for request in requests]
    assert len(taus) == len(set(taus)) == len(set(guidances)) == 200
    assert 0.1 <= min(taus) < 0.15 < 0.85 < max(taus) <= 0.9
    assert 7.5 <= min(guidances) < 8 < 14.5 < max(guidances) <= 15
    assert abs(sum(taus) / 200 - 0.5) < 0.06
    assert taus == [tau for request in make_requests(PAIR, config(*settings)) for tau in request.taus]


def test_more_samples_leave_the_first_as_they_were():
    few = make_requests(PAIR, config("sweep=random", "sweep.samples=3"))
    many = make_requests(PAIR, config("sweep=random", "sweep.samples=9"))
    assert [(r.seed, r.taus, r.guidance_scale) for r in few] == [
        (r.seed, r.taus, r.guidance_scale) for r in many[:3]
    ]


def test_the_options_of_the_edit_reach_the_request():
    (request,) = make_requests(
        PAIR, config("edit=instructpix2pix", "sweep.seeds=1", "sampler=euler_ancestral")
    )
    assert (request.cross_gain, request.self_gain, request.inject_unconditional) == (0.0, 1.0, True)
    assert (request.edit, request.sampler) == ("auto", "euler_ancestral")
    assert (request.too_long, request.pooled, request.rounding) == ("error", "own", "instructpix2pix")
    (request,) = make_requests(
        PAIR, config("edit.too_long=truncate", "edit.pooled=source", "sweep.seeds=1", "model=sd3")
    )
    assert (request.too_long, request.pooled) == ("truncate", "source")
    assert (request.sampler, request.steps) == ("flow_match_euler", 40)


def test_the_method_reaches_the_request():
    (request,) = make_requests(PAIR, config("edit.method=sdedit", "sweep.seeds=1", "sweep.taus=[0.1,0.7]"))
    assert (request.method, tuple(request.taus)) == ("sdedit", (0.1, 0.7))


def test_same_seed_makes_one_request_a_seed_at_tau_zero():
    requests = make_requests(PAIR, config("edit.method=same_seed", "sweep.seeds=2", "sweep.taus=[0.1,0.7]"))
    assert [(request.method, tuple(request.taus)) for request in requests] == [("same_seed", (0.0,))] * 2


def test_options_that_are_null_by_default_reach_the_request():
    (plain,) = make_requests(PAIR, config("sweep.seeds=1"))
    assert (plain.negative_prompt, plain.spacing, plain.self_max_size) == (None, None, None)
    assert (plain.start, plain.self_tau) == (0.0, None)
    (request,) = make_requests(
        PAIR,
        config(
            "sweep.seeds=1",
            "edit=prompt_to_prompt",
            "edit.start=0.1",
            "edit.self_tau=0.4",
            "sampler.negative_prompt='a dog, ugly'",
            "sampler.spacing=trailing",
        ),
    )
    assert (request.negative_prompt, request.spacing) == ("a dog, ugly", "trailing")
    assert (request.self_max_size, request.rounding) == (0.25, "google")
    assert (request.start, request.self_tau) == (0.1, 0.4)


def test_the_guidance_interval_reaches_the_request():
    (all_levels,) = make_requests(PAIR, config("sweep.seeds=1"))
    (some,) = make_requests(PAIR, config("sweep.seeds=1", "sampler.guidance_interval=[0.3,inf]"))
    assert (all_levels.guidance_interval, some.guidance_interval) == (None, (0.3, float("inf")))


def test_a_pairs_options_override_the_settings_of_the_run():
    options = {
        "alignment": [["red ball", "blue ball"]],
        "blend": {"source": "ball", "target": "ball", "threshold": 0.4},
        "negative_prompt": "a cat",
        "only": ["ball"],
        "reweight": {"blue": 2.0},
        "self_max_size": 0.5,
        "word_taus": {"blue": 0.1},
    }
    pair = CaptionPair("a red ball", "make it blue", "a blue ball", options=json.dumps(options))
    settings = ("sampler.negative_prompt=dark", "edit.self_max_size=0.9", "sampler.steps=7")
    for request in make_requests(pair, config(*settings)):
        assert {name: getattr(request, name) for name in options} == options
        assert (request.steps, request.local_blend) == (7, p2p.Blend("ball", "ball", threshold=0.4))
    plain = make_requests(PAIR, config(*settings))[0]
    assert (plain.negative_prompt, plain.self_max_size, plain.blend) == ("dark", 0.9, None)


def test_an_inverted_image_has_one_seed_unless_noise_is_drawn() -> None:
    pair = CaptionPair("a", "b", "c", image="1f a.png")
    image = np.zeros((8, 8, 3), np.uint8)

    def seeds(*settings: str, of: CaptionPair = pair) -> list[int]:
        return [request.seed for request in make_requests(of, config("sweep.seeds=3", *settings), image)]

    assert len(seeds()) == len(set(seeds())) == 1
    assert len(seeds("edit.inversion=rf_inversion")) == 3
    assert len(seeds("edit.method=sdedit")) == 3
    assert len(seeds(of=CaptionPair("a", "b", "c"))) == 3
    (request,) = make_requests(pair, config("sweep.seeds=3", "edit.inversion=ddim"), image)
    assert request.image is image
    assert request.inversion == "ddim"
