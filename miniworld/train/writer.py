"""The mini world's language model: a small Llama that has read captions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from miniworld.train.corpus import document
from miniworld.train.loop import Recipe, device, fast_products, train
from miniworld.words import END, build_tokenizer

RECIPE = Recipe(steps=3400, learning_rate=2e-3, average=0.998)
VARIED = Recipe(steps=1400, learning_rate=1.5e-3, average=0.995)
ROWS = 16
TOKENS = 128  # of a row


def build() -> LlamaForCausalLM:
    """The untrained model, of 1.9 million weights."""
    tokenizer = build_tokenizer()
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=192,
            intermediate_size=512,
            num_hidden_layers=4,
            num_attention_heads=6,
            max_position_embeddings=tokenizer.model_max_length,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.eos_token_id,
        )
    )


def batch(tokenizer: PreTrainedTokenizerFast, step: int, varied: bool) -> Tensor:
    """Token ids (16, 128) of step `step`: documents one after the other, an end token behind each."""
    rng = np.random.default_rng((3, int(varied), step))
    rows = []
    for _ in range(ROWS):
        ids: list[int] = []
        while len(ids) < TOKENS:
            ids += tokenizer(document(rng, varied) + END).input_ids
        rows.append(ids[:TOKENS])
    return torch.tensor(rows)


def train_writer(folder: Path, plain: Recipe = RECIPE, varied: Recipe = VARIED) -> LlamaForCausalLM:
    """Trains on captions, first on plain documents and then on varied ones: the loss is that of the next token."""
    torch.manual_seed(0)
    model = build().train().to(device())
    tokenizer = build_tokenizer()

    def loss(step: int, of_varied: bool) -> Tensor:
        ids = batch(tokenizer, step, of_varied).to(device())
        with fast_products():
            logits = model(input_ids=ids[:, :-1], use_cache=False).logits
        return nn.functional.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())

    modules = nn.ModuleDict({"writer": model})
    train("writer", modules, lambda step: loss(step, False), plain, folder)
    train("writer-varied", modules, lambda step: loss(step, True), varied, folder)
    return model.eval()


def export_writer(model: LlamaForCausalLM, folder: Path) -> None:
    """A transformers folder, weights in float16, its tokenizer beside it."""
    model.half().save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
