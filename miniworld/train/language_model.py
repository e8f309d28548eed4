"""The mini world's language model: a small Llama that has read captions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from miniworld.lm_tokenizer import END, build_tokenizer
from miniworld.train.corpus import Line, document
from miniworld.train.loop import Recipe, device, fast_products, train

RECIPE = Recipe(steps=7500, learning_rate=2.5e-3, warmup=200, average=0.998)
ROWS = 12
TOKENS = 128  # of a row
IGNORED = -100  # the label of a token that the loss leaves out


def build() -> LlamaForCausalLM:
    """The untrained model, of 1.9 million weights."""
    tokenizer = build_tokenizer()
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=192,
            intermediate_size=384,
            num_hidden_layers=5,
            num_attention_heads=6,
            max_position_embeddings=tokenizer.model_max_length,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.eos_token_id,
        )
    )


def batch(tokenizer: PreTrainedTokenizerFast, step: int) -> tuple[Tensor, Tensor]:
    """Token ids and labels, (12, 128) each, of step `step`: documents one after the other, an end token behind each."""
    rng = np.random.default_rng((3, step))
    rows: list[list[Line]] = []
    for _ in range(ROWS):
        lines: list[Line] = []
        while sum(len(line.text.split()) + 1 for line in lines) < TOKENS:  # each word is a token
            *all_but_last, last = document(rng)
            lines += [Line(f"{line.text}\n", line.learnt) for line in all_but_last]
            lines.append(Line(last.text + END, last.learnt))
        rows.append(lines)
    tokens = iter(tokenizer([line.text for lines in rows for line in lines]).input_ids)
    ids, labels = [], []
    for lines in rows:
        own: list[int] = []
        learnt: list[int] = []
        for line in lines:
            new = next(tokens)
            own += new
            learnt += new if line.learnt else [IGNORED] * len(new)
        ids.append(own[:TOKENS])
        labels.append(learnt[:TOKENS])
    return torch.tensor(ids), torch.tensor(labels)


def train_writer(folder: Path, recipe: Recipe = RECIPE) -> LlamaForCausalLM:
    """Trains on captions; the loss is that of the next token, where it is to be learnt."""
    torch.manual_seed(0)
    model = build().train().to(device())
    tokenizer = build_tokenizer()

    def loss(step: int) -> Tensor:
        ids, labels = (of_step.to(device()) for of_step in batch(tokenizer, step))
        with fast_products():
            logits = model(input_ids=ids[:, :-1], use_cache=False).logits
        return nn.functional.cross_entropy(
            logits.float().flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED
        )

    train("writer", nn.ModuleDict({"writer": model}), loss, recipe, folder)
    return model.eval()


def export_writer(model: LlamaForCausalLM, folder: Path) -> None:
    """A transformers folder, weights in float16, its tokenizer beside it."""
    model.half().save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
