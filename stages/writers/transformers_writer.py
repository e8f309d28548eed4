"""Writes edits with any causal language model of transformers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PretrainedConfig,
    StoppingCriteriaList,
    StopStringCriteria,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

import p2p
from conf.messages import error_line
from conf.pairs import Writer as Settings
from stages.writers.base import Answer, EditRequest, NoAnswer, WriterError, to_answer
from stages.writers.prompts import choose_style, encode_prompt

_BUCKET = 32
"""Prompts are padded to multiples of this number of tokens."""
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TransformersWriter:
    """Runs a causal language model from a folder or the hub, in batches, on a GPU or the CPU.

    An answer does not depend on the other rows: it has its own generator, and the shape of its batch follows from its
    prompt: ``rows`` × the prompt's length rounded up.
    """

    def __init__(self, settings: Settings) -> None:
        """Loads the model. ``dtype=auto`` is the model's own on a GPU, and fp32 elsewhere.

        Raises:
            WriterError: the model is missing, is no causal language model, or does not load; the template is missing.
        """
        self._settings = settings
        on_gpu = settings.device != "cpu" and torch.cuda.is_available()
        load_config(settings.model, settings.revision)
        dtype = _DTYPES.get(settings.dtype.value, "auto" if on_gpu else torch.float32)
        self._tokenizer, model = load_pretrained(
            AutoModelForCausalLM, "writer.model", settings.model, settings.revision, dtype=dtype
        )
        self._model = model.eval().to("cuda" if on_gpu else "cpu")
        self._style = choose_style(settings, conversations=bool(self._tokenizer.chat_template))
        self._stops = StoppingCriteriaList()
        if self._style.stop:
            self._stops.append(StopStringCriteria(self._tokenizer, self._style.stop))

    def write(self, requests: Sequence[EditRequest]) -> list[Answer | NoAnswer]:
        """Implements ``Writer.write``."""
        answers: dict[int, Answer] = {}
        prompts: defaultdict[int, list[tuple[int, list[int]]]] = defaultdict(list)
        for place, request in enumerate(requests):
            ids = encode_prompt(self._tokenizer, self._style, request.caption)
            if isinstance(ids, Answer):
                answers[place] = ids
            else:
                prompts[-(-len(ids) // _BUCKET) * _BUCKET].append((place, ids))
        rows = self._settings.rows
        for tokens, all_of_length in prompts.items():
            for start in range(0, len(all_of_length), rows):
                places, batch = zip(*all_of_length[start : start + rows], strict=True)
                texts = self._continue(tokens, batch, [requests[place].seed for place in places])
                for place, text in zip(places, texts, strict=True):
                    answers[place] = to_answer(text, self._style.parse(text))
        return [answers[place] for place in range(len(requests))]

    @torch.inference_mode()
    def _continue(self, tokens: int, prompts: Sequence[list[int]], seeds: Sequence[int]) -> list[str]:
        """Returns the continuations of the prompts, in a batch of ``rows`` × ``tokens``, padded on the left."""
        settings, defaults, tokenizer = self._settings, self._model.generation_config, self._tokenizer
        ends = (defaults.eos_token_id, tokenizer.eos_token_id)
        pads = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
        pad = next(token for token in pads if token is not None)
        # Copies of the first row fill the batch and end with it.
        missing = settings.rows - len(prompts)
        filled, all_seeds = [*prompts, *[prompts[0]] * missing], [*seeds, *[seeds[0]] * missing]
        ids = torch.tensor([[pad] * (tokens - len(prompt)) + prompt for prompt in filled])
        mask = torch.tensor([[0] * (tokens - len(prompt)) + [1] * len(prompt) for prompt in filled])
        draws = LogitsProcessorList()
        if settings.temperature > 0:
            draws.append(TokenSampler(all_seeds, settings.temperature, settings.top_p))
        generated = self._model.generate(
            input_ids=ids.to(self._model.device),
            attention_mask=mask.to(self._model.device),
            generation_config=GenerationConfig(
                max_new_tokens=settings.max_tokens,
                do_sample=False,
                eos_token_id=next((token for token in ends if token is not None), None),
                pad_token_id=pad,
            ),
            logits_processor=draws,
            stopping_criteria=self._stops,
        )
        new = generated[: len(prompts), tokens:]
        return [str(text) for text in tokenizer.batch_decode(new, skip_special_tokens=True)]


class TokenSampler(LogitsProcessor):
    """Samples one token for each row and leaves only its logit, so that greedy decoding takes it.

    transformers samples all rows from one generator, so that a row's text depends on the other rows. Here each row
    draws one number a token from its own generator, and takes the token at that quantile of its distribution.
    """

    def __init__(self, seeds: Sequence[int], temperature: float, top_p: float) -> None:
        """``temperature`` over 0; ``top_p`` in (0, 1], the mass of the likeliest tokens that are drawn from."""
        self._draws = [np.random.default_rng(seed) for seed in seeds]
        self._temperature = temperature
        self._top_p = top_p

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """(rows, vocabulary) logits → the same with all but one token of each row at -inf."""
        likely, tokens = torch.sort(scores.double() / self._temperature, descending=True, stable=True)
        mass = torch.softmax(likely, -1)
        until = torch.cumsum(mass, -1)
        mass = mass * (until - mass < self._top_p)
        until = torch.cumsum(mass, -1)
        drawn = torch.tensor(
            [[draw.random()] for draw in self._draws], dtype=until.dtype, device=until.device
        )
        place = torch.searchsorted(until, drawn * until[:, -1:], right=True)
        last = (mass > 0).sum(-1, keepdim=True) - 1
        sampled = tokens.gather(-1, torch.minimum(place, last))
        return torch.full_like(scores, -torch.inf).scatter(-1, sampled, 0.0)


def identify(model: str, revision: str | None = None) -> str:
    """Returns the digest of a folder or the commit of a hub name. Raises WriterError as ``load_config`` does."""
    config = load_config(model, revision)
    return p2p.fingerprint(model) if Path(model).is_dir() else str(config._commit_hash)


def load_config(model: str, revision: str | None = None) -> PretrainedConfig:
    """Loads the configuration of a causal language model, a folder or a hub name, without weights.

    Raises WriterError if the model is missing, is no causal language model, or its configuration does not load.
    """
    if not Path(model).is_dir() and (model.startswith((".", "/", "~")) or model.count("/") > 1):
        raise WriterError(f"writer.model={model}: there is no such folder")
    try:
        config = AutoConfig.from_pretrained(model, revision=revision, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise WriterError(f"writer.model={model} does not load: {error_line(error)}") from error
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise WriterError(
            f"writer.model={model} is a {config.model_type} model, not a causal language model: name one such as "
            "Llama, Qwen or GPT-2"
        )
    return config


def load_pretrained(
    kind: Any, setting: str, model: str, revision: str | None, **options: Any
) -> tuple[Any, Any]:
    """Loads the tokenizer and the model of a folder or a hub name; ``kind`` is one of transformers' automatic classes.

    Raises WriterError if they do not load; pickled weights and code of the model are never loaded.
    """
    options |= {"revision": revision, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(model, revision=revision, trust_remote_code=False)
        return tokenizer, kind.from_pretrained(model, use_safetensors=True, **options)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = error_line(error)
        if any(Path(model).glob("*.bin")) and not any(Path(model).glob("*.safetensors")):
            reason = "it has pickled weights only, which are never loaded: save it as safetensors"
        raise WriterError(f"{setting}={model} does not load: {reason}") from error
