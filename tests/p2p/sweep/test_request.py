from __future__ import annotations

import base64
import inspect
import io
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import p2p

PROMPTS = {"source": "a red ball", "target": "a blue ball"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"taus": ()}, "taus is empty"),
        ({"taus": (0.5, 1.1)}, r"τ = 1.1 is not in \[0, 1\]"),
        ({"taus": (float("nan"),)}, r"τ = nan is not in \[0, 1\]"),
        ({"word_taus": {"ball": -0.1}}, "τ = -0.1 is not"),
        ({"cross_gain": -1.0}, "cross_gain = -1.0"),
        ({"self_gain": float("inf")}, "self_gain = inf"),
        ({"guidance_scale": float("nan")}, "guidance_scale = nan"),
        ({"reweight": {"ball": float("inf")}}, "reweight = "),
        ({"steps": 0}, "steps = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"sampler": "heun"}, "sampler 'heun' is unknown; there are ddim, euler, euler_ancestral, dpmpp_2m"),
        ({"edit": "swap"}, "edit 'swap' is unknown; there are auto, refine, replace"),
        ({"too_long": "cut"}, "too_long 'cut' is unknown; there are error, truncate"),
        ({"guidance_interval": (5.0, 0.3)}, r"guidance_interval = \(5.0, 0.3\); give two noise levels"),
        ({"guidance_interval": (-1.0, 1.0)}, "give two noise levels, 0 <= low < high"),
        ({"guidance_interval": (0.0, float("nan"))}, "give two noise levels"),
        ({"guidance_interval": (1.0,)}, "give two noise levels"),
        ({"pooled": "mine"}, "pooled 'mine' is unknown; there are own, source"),
        ({"only": "ball"}, r"only = 'ball' must be a list of words: only=\('ball',\)"),
        ({"alignment": ("ab",)}, "alignment has 'ab', which is not a pair of phrases"),
        ({"alignment": (("a", None),)}, "which is not a pair of phrases"),
        ({"target": None}, "target must be text, not None"),
        ({"taus": 0.5}, r"taus = 0.5 must be a list of numbers: taus=\(0.5,\)"),
        ({"taus": "0.5"}, "taus = '0.5' must be a list of numbers"),
        ({"taus": ("a",)}, "taus = 'a' must be a number, not str"),
        ({"steps": "10"}, "steps = '10' must be an integer, not str"),
        ({"steps": 10.5}, "steps = 10.5 must be an integer, not float"),
        ({"seed": None}, "seed = None must be an integer, not NoneType"),
        ({"guidance_scale": "7"}, "guidance_scale = '7' must be a number, not str"),
        ({"cross_gain": None}, "cross_gain = None must be a number"),
        ({"word_taus": ["ball"]}, r"word_taus = \['ball'\] must map words to numbers"),
        ({"word_taus": {"ball": "x"}}, "word_taus = 'x' must be a number"),
        ({"reweight": {"ball": None}}, "reweight = None must be a number"),
        ({"reweight": 2.0}, "reweight = 2.0 must map words to numbers"),
        ({"only": 3}, "only = 3 must be a list of words"),
        ({"alignment": 3}, "alignment = 3 must be a list of pairs"),
        ({"blend": 3}, "blend = 3; give words of the source and of the target"),
        ({"blend": (3, "ball")}, "blend: source = 3 must be a word or a list of words"),
        ({"guidance_interval": 3.0}, "guidance_interval = 3.0; give two noise levels"),
        ({"sampler": 3}, "sampler 3 "),
        ({"negative_prompt": 3}, "negative_prompt must be text, not 3"),
        ({"spacing": "even"}, "spacing 'even' is unknown; there are linspace, leading, trailing"),
        ({"self_max_size": 0.0}, "self_max_size = 0.0 must be over 0 and at most 1"),
        ({"self_max_size": "16"}, "self_max_size = '16' must be a number"),
        ({"start": 1.5}, r"start = 1.5 is not in \[0, 1\]"),
        ({"self_tau": -0.5}, "τ = -0.5 is not"),
        ({"reweight_steps": "some"}, "reweight_steps 'some' is unknown; there are all, injected"),
    ],
)
def test_values_out_of_range(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(p2p.P2PError, match=message):
        p2p.SweepRequest(**{**PROMPTS, **wrong})


def test_numbers_of_numpy_are_numbers() -> None:
    taus = np.linspace(0, 1, 3)
    request = p2p.SweepRequest(
        **PROMPTS, taus=taus, seed=np.int64(3), steps=np.int32(4), cross_gain=np.float32(1)
    )
    assert list(request.taus) == [0.0, 0.5, 1.0]


def test_editor_sweep_has_the_requests_fields_and_defaults() -> None:
    def parameters(callable_: Any) -> list[tuple[str, Any]]:
        return [
            (p.name, p.default) for p in inspect.signature(callable_).parameters.values() if p.name != "self"
        ]

    assert parameters(p2p.Editor.sweep) == parameters(p2p.SweepRequest)


def test_every_argument_of_sweep_reaches_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        **PROMPTS,
        "taus": (0.1,),
        "seed": 3,
        "steps": 4,
        "guidance_scale": 2.0,
        "sampler": "euler_ancestral",
        "cross_gain": 0.7,
        "self_gain": 0.6,
        "edit": "refine",
        "word_taus": {"ball": 0.1},
        "reweight": {"ball": 2.0},
        "blend": ("ball", "ball"),
        "inject_unconditional": True,
        "latents": object(),
        "only": ("ball",),
        "alignment": (("red", "blue"),),
        "too_long": "truncate",
        "pooled": "source",
        "method": "sdedit",
        "rounding": "instructpix2pix",
        "guidance_interval": (0.3, 5.0),
        "negative_prompt": "a dog",
        "spacing": "trailing",
        "self_max_size": 0.25,
        "start": 0.1,
        "self_tau": 0.3,
        "reweight_steps": "injected",
    }
    taken: list[p2p.SweepRequest] = []
    monkeypatch.setattr(p2p.Editor, "sweep_many", lambda self, requests: taken.extend(requests) or [None])
    p2p.Editor.sweep(p2p.Editor(SimpleNamespace(device=torch.device("cpu"))), **given)  # type: ignore[arg-type]
    assert {name: getattr(taken[0], name) for name in given} == given


def test_a_notebook_shows_the_images_of_a_sweep() -> None:
    source, edits = np.zeros((4, 6, 3), np.uint8), np.full((2, 4, 6, 3), 9, np.uint8)
    latents = torch.zeros(2, 4, 1, 1)
    request = p2p.SweepRequest("a <b>red</b> ball", "a blue ball", (0.25, 1.0))
    sweep = p2p.Sweep(source, edits, 6, latents[0], latents, request=request)
    page = sweep._repr_html_()
    pictures = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))
        for png in re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    ]
    assert np.array_equal(np.stack(pictures), np.stack([source, *edits]))
    assert re.findall("<figcaption>(.*?)</figcaption>", page) == [
        "a &lt;b&gt;red&lt;/b&gt; ball",
        "τ = 0.25",
        "τ = 1",
    ]
    assert "<p>a blue ball</p>" in page
    assert replace(sweep, request=None)._repr_html_().count("<img") == 3
    assert np.array_equal(np.asarray(sweep.picture()), np.hstack([source, *edits]))
