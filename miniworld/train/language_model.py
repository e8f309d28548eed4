"""Trains the mini world's language model: a small Llama, on captions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from miniworld.lm_tokenizer import END, build_tokenizer
from miniworld.train.corpus import Line, make_document
from miniworld.train.loop import Recipe, device, fast_matmul, train

RECIPE = Recipe(steps=7500, learning_rate=2.5e-3, warmup=200, average=0.998)
SEQUENCES = 12
TOKENS = 128  # of a sequence
IGNORED = -100  # the label of a token that the loss leaves out


def build() -> LlamaForCausalLM:
    """Builds the untrained model, of 1.9 million weights."""
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


def make_batch(tokenizer: PreTrainedTokenizerFast, step: int) -> tuple[Tensor, Tensor]:
    """Makes the token ids and labels of a step, (12, 128) each: concatenated documents, an end token after each."""
    rng = np.random.default_rng((3, step))
    sequences: list[list[Line]] = []
    for _ in range(SEQUENCES):
        lines: list[Line] = []
        while sum(len(line.text.split()) + 1 for line in lines) < TOKENS:  # each word is a token
            *all_but_last, last = make_document(rng)
            lines += [Line(f"{line.text}\n", line.learned) for line in all_but_last]
            lines.append(Line(last.text + END, last.learned))
        sequences.append(lines)
    tokens = iter(tokenizer([line.text for lines in sequences for line in lines]).input_ids)
    ids, labels = [], []
    for lines in sequences:
        sequence_ids: list[int] = []
        sequence_labels: list[int] = []
        for line in lines:
            new = next(tokens)
            sequence_ids += new
            sequence_labels += new if line.learned else [IGNORED] * len(new)
        ids.append(sequence_ids[:TOKENS])
        labels.append(sequence_labels[:TOKENS])
    return torch.tensor(ids), torch.tensor(labels)


def train_writer(folder: Path, recipe: Recipe = RECIPE) -> LlamaForCausalLM:
    """Trains on captions. The loss is that of the next token, where it is learned."""
    torch.manual_seed(0)
    model = build().train().to(device())
    tokenizer = build_tokenizer()

    def loss(step: int) -> Tensor:
        ids, labels = (tensor.to(device()) for tensor in make_batch(tokenizer, step))
        with fast_matmul():
            logits = model(input_ids=ids[:, :-1], use_cache=False).logits
        return nn.functional.cross_entropy(
            logits.float().flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED
        )

    train("writer", nn.ModuleDict({"writer": model}), loss, recipe, folder)
    return model.eval()


def export_writer(model: LlamaForCausalLM, folder: Path) -> None:
    """Writes a transformers folder, weights in float16, with its tokenizer."""
    model.half().save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
