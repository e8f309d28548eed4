"""The pair of CLIP text encoders against the pipeline that it is taken from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionXLPipeline

from p2p.errors import P2PError
from p2p.text.clip_text_encoders import ClipPair
from tests import models


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.save_stable_diffusion_xl(tmp_path_factory.mktemp("sdxl"))


@pytest.fixture
def pipeline(folder: Path) -> StableDiffusionXLPipeline:
    return StableDiffusionXLPipeline.from_pretrained(folder)


@pytest.mark.parametrize("prompt", ["", "a red hexagon, on grass", "a " * (models.TOKENS - 2)])
@torch.no_grad()
def test_encodings_are_the_pipeline_s(folder: Path, pipeline: StableDiffusionXLPipeline, prompt: str) -> None:
    hidden, outputs = ClipPair(folder, pipeline).encode(prompt)
    expected, _, pooled, _ = pipeline.encode_prompt(prompt, device="cpu", do_classifier_free_guidance=False)
    assert hidden.shape == (models.TOKENS, 32 + 48)
    assert torch.allclose(hidden, expected[0], atol=1e-6)
    assert torch.allclose(outputs[1].text_embeds, pooled, atol=1e-6)


def test_words_are_those_of_both_tokenizers(folder: Path, pipeline: StableDiffusionXLPipeline) -> None:
    pair = ClipPair(folder, pipeline)
    prompt = pair.tokenize("a red hexagon")
    assert [window.tokenize("a red hexagon") for window in pair.windows] == [prompt, prompt]
    assert [word.text for word in prompt.words] == ["a", "red", "hexagon"]


def test_a_prompt_on_which_the_tokenizers_disagree(folder: Path, pipeline: StableDiffusionXLPipeline) -> None:
    pair = ClipPair(folder, pipeline)
    pair.windows[1].tokenizer.add_tokens(["hexagon"])
    assert pair.tokenize("a red ball").words[1].tokens == (2,)
    with pytest.raises(P2PError, match="two tokenizers do not agree on 'a hexagon'; use other words"):
        pair.tokenize("a hexagon")


def test_long_prompts_are_cut_or_refused(folder: Path, pipeline: StableDiffusionXLPipeline) -> None:
    pair, long, fits = ClipPair(folder, pipeline), "a red ball " * 9, "a red ball " * 6
    assert pair.tokenize(long, cut=True).words == pair.tokenize(fits).words, (
        "18 words, a start and an end token"
    )
    with torch.no_grad():
        assert torch.equal(pair.encode(long, cut=True)[0], pair.encode(fits)[0])
    for refuse in (pair.encode, pair.tokenize):
        with pytest.raises(P2PError, match="has 29 tokens, the model takes 20"):
            refuse(long)
