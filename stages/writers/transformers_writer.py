"""Writes edits with any causal language model of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LogitsProcessorList,
    PretrainedConfig,
    PreTrainedTokenizerBase,
    StoppingCriteriaList,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

import p2p
from conf.messages import error_line
from conf.pairs import Ask
from stages.writers.base import Answer, EditRequest, NoAnswer, WriterError, to_answer
from stages.writers.completion_format import CompletionFormat, FormatError
from stages.writers.prompts import choose_style, encode_prompt
from stages.writers.sampling import StopAtSequence, TokenSampler

_BUCKET = 32
"""Prompts are padded to multiples of this number of tokens."""


@dataclass(frozen=True)
class Sampling:
    """``temperature`` 0 takes the likeliest token; ``top_p`` is in (0, 1]; an answer has at most ``tokens``."""

    temperature: float = 0.7
    top_p: float = 1.0
    tokens: int = 256


class TransformersWriter:
    """Runs a causal language model from a folder or the hub, in batches, on a GPU or the CPU.

    An answer does not depend on the other rows: it has its own generator, and the shape of its batch follows from its
    prompt: ``rows`` × the prompt's length rounded up.
    """

    def __init__(
        self,
        model: str,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        ask: str = "auto",
        format: CompletionFormat | None = None,
        template: str = "instructpix2pix",
        sampling: Sampling | None = None,
        rows: int = 16,
    ) -> None:
        """Loads the model.

        Args:
            device: "cpu", "cuda" or "auto".
            dtype: "fp32", "bf16", "fp16" or "auto": the model's own on a GPU, fp32 elsewhere.
            ask: "completion" in ``format``, "few_shot" by ``template``, "auto": few_shot if there is a chat template.
            rows: the number of rows of a batch.

        Raises:
            WriterError: the model is missing, is no causal language model, or does not load; the template is missing.
        """
        on_gpu = device != "cpu" and torch.cuda.is_available()
        known = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
        load_config(model, revision)
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(model, revision=revision, trust_remote_code=False)
            self._model = AutoModelForCausalLM.from_pretrained(
                model,
                revision=revision,
                dtype=known.get(dtype, "auto" if on_gpu else torch.float32),
                use_safetensors=True,
                trust_remote_code=False,
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise _does_not_load(model, error) from error
        self._model = self._model.eval().to("cuda" if on_gpu else "cpu")
        conversations = bool(self._tokenizer.chat_template)
        self._style = choose_style(Ask(ask), conversations, format or CompletionFormat(), template)
        self._sampling = sampling or Sampling()
        self._rows = rows

    def write(self, requests: Sequence[EditRequest]) -> list[Answer | NoAnswer]:
        """Implements ``Writer.write``."""
        answers: list[Answer | NoAnswer] = [NoAnswer("it was not asked for")] * len(requests)
        prompts: dict[int, list[tuple[int, list[int]]]] = {}
        for place, request in enumerate(requests):
            try:
                ids = encode_prompt(self._tokenizer, self._style, request.caption)
            except FormatError:
                answers[place] = Answer(reason="separator_in_caption", text=request.caption)
                continue
            prompts.setdefault(-(-len(ids) // _BUCKET) * _BUCKET, []).append((place, ids))
        for tokens, all_of_length in sorted(prompts.items()):
            for start in range(0, len(all_of_length), self._rows):
                batch = all_of_length[start : start + self._rows]
                texts = self._continue(
                    tokens, [ids for _, ids in batch], [requests[place].seed for place, _ in batch]
                )
                for (place, _), text in zip(batch, texts, strict=True):
                    answers[place] = to_answer(text, self._style.parse(text))
        return answers

    @torch.inference_mode()
    def _continue(self, tokens: int, prompts: Sequence[list[int]], seeds: Sequence[int]) -> list[str]:
        """Returns the continuations of the prompts, in a batch of ``rows`` × ``tokens``, padded on the left."""
        pad = _pad_token(self._tokenizer)
        filled = [*prompts, *[prompts[0]] * (self._rows - len(prompts))]
        ids = torch.tensor([[pad] * (tokens - len(prompt)) + prompt for prompt in filled])
        mask = torch.tensor([[0] * (tokens - len(prompt)) + [1] * len(prompt) for prompt in filled])
        defaults = self._model.generation_config
        sampling = self._sampling
        draws = LogitsProcessorList()
        if sampling.temperature > 0:
            all_seeds = [*seeds, *[0] * (self._rows - len(seeds))]
            draws.append(TokenSampler(all_seeds, sampling.temperature, sampling.top_p))
        generated = self._model.generate(
            input_ids=ids.to(self._model.device),
            attention_mask=mask.to(self._model.device),
            generation_config=GenerationConfig(
                max_new_tokens=sampling.tokens,
                do_sample=False,
                eos_token_id=defaults.eos_token_id
                if defaults.eos_token_id is not None
                else self._tokenizer.eos_token_id,
                pad_token_id=pad,
            ),
            logits_processor=draws,
            stopping_criteria=StoppingCriteriaList(
                [StopAtSequence(self._tokenizer, self._style.stop, len(prompts), tokens)]
            ),
        )
        new = generated[: len(prompts), tokens:]
        return [str(text) for text in self._tokenizer.batch_decode(new, skip_special_tokens=True)]


def _pad_token(tokenizer: PreTrainedTokenizerBase) -> int:
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    return 0


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
        raise _does_not_load(model, error) from error
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise WriterError(
            f"writer.model={model} is a {config.model_type} model, not a causal language model: name one such as "
            "Llama, Qwen or GPT-2"
        )
    return config


def _does_not_load(model: str, error: Exception) -> WriterError:
    return WriterError(f"writer.model={model} does not load: {error_line(error)}")
