"""Any causal language model of transformers as a writer."""

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
from stages.writers.base import Answer, Asked, NoAnswer, WriterError, answer_of
from stages.writers.completion_format import CompletionFormat, FormatError
from stages.writers.prompts import chosen, encoded
from stages.writers.sampling import Draw, Stopped

_BUCKET = 32
"""Prompts are padded to multiples of so many tokens."""


@dataclass(frozen=True)
class Sampling:
    """``temperature`` 0 takes the likeliest token; ``top_p`` in (0, 1]; ``tokens`` of an answer at most."""

    temperature: float = 0.7
    top_p: float = 1.0
    tokens: int = 256


class TransformersWriter:
    """A folder or hub name of any causal language model, batched, on a GPU or the CPU.

    A row's answer is that row's alone: it is sampled by a generator of its own, in a batch whose shape follows from its
    own prompt, ``rows`` × the prompt's length rounded up.
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
        """Load the model.

        Args:
            device: "cpu", "cuda" or "auto".
            dtype: "fp32", "bf16", "fp16" or "auto": the model's own on a GPU, fp32 elsewhere.
            ask: "completion" in ``format``, "few_shot" by ``template``, "auto": the latter if there is a chat template.
            rows: of a batch.

        Raises:
            WriterError: there is no such model, it is no causal language model, or it does not load; there is no such
                template.
        """
        on_gpu = device != "cpu" and torch.cuda.is_available()
        known = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
        config_of(model, revision)
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
        self._asking = chosen(Ask(ask), conversations, format or CompletionFormat(), template)
        self._sampling = sampling or Sampling()
        self._rows = rows

    def write(self, asked: Sequence[Asked]) -> list[Answer | NoAnswer]:
        """As ``Writer.write`` says."""
        answers: list[Answer | NoAnswer] = [NoAnswer("it was not asked for")] * len(asked)
        prompts: dict[int, list[tuple[int, list[int]]]] = {}
        for place, one in enumerate(asked):
            try:
                ids = encoded(self._tokenizer, self._asking, one.caption)
            except FormatError:
                answers[place] = Answer(reason="separator_in_caption", text=one.caption)
                continue
            prompts.setdefault(-(-len(ids) // _BUCKET) * _BUCKET, []).append((place, ids))
        for tokens, all_of_length in sorted(prompts.items()):
            for start in range(0, len(all_of_length), self._rows):
                batch = all_of_length[start : start + self._rows]
                texts = self._continue(
                    tokens, [ids for _, ids in batch], [asked[place].seed for place, _ in batch]
                )
                for (place, _), text in zip(batch, texts, strict=True):
                    answers[place] = answer_of(text, self._asking.parse(text))
        return answers

    @torch.inference_mode()
    def _continue(self, tokens: int, prompts: Sequence[list[int]], seeds: Sequence[int]) -> list[str]:
        """What the model goes on with, in a batch of ``rows`` × ``tokens``, padded on the left."""
        pad = _pad_token(self._tokenizer)
        filled = [*prompts, *[prompts[0]] * (self._rows - len(prompts))]
        ids = torch.tensor([[pad] * (tokens - len(prompt)) + prompt for prompt in filled])
        mask = torch.tensor([[0] * (tokens - len(prompt)) + [1] * len(prompt) for prompt in filled])
        own = self._model.generation_config
        sampling = self._sampling
        draws = LogitsProcessorList()
        if sampling.temperature > 0:
            every = [*seeds, *[0] * (self._rows - len(seeds))]
            draws.append(Draw(every, sampling.temperature, sampling.top_p))
        made = self._model.generate(
            input_ids=ids.to(self._model.device),
            attention_mask=mask.to(self._model.device),
            generation_config=GenerationConfig(
                max_new_tokens=sampling.tokens,
                do_sample=False,
                eos_token_id=own.eos_token_id
                if own.eos_token_id is not None
                else self._tokenizer.eos_token_id,
                pad_token_id=pad,
            ),
            logits_processor=draws,
            stopping_criteria=StoppingCriteriaList(
                [Stopped(self._tokenizer, self._asking.stop, len(prompts), tokens)]
            ),
        )
        new = made[: len(prompts), tokens:]
        return [str(text) for text in self._tokenizer.batch_decode(new, skip_special_tokens=True)]


def _pad_token(tokenizer: PreTrainedTokenizerBase) -> int:
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    return 0


def identify(model: str, revision: str | None = None) -> str:
    """The digest of a folder, or the commit of a name on the hub. Raises WriterError as ``config_of`` does."""
    config = config_of(model, revision)
    return p2p.fingerprint(model) if Path(model).is_dir() else str(config._commit_hash)


def config_of(model: str, revision: str | None = None) -> PretrainedConfig:
    """The configuration of a causal language model, a folder or a hub name; no weights are read.

    Raises WriterError: there is no such model, it is no causal language model, or its configuration does not load.
    """
    if not Path(model).is_dir() and (model.startswith((".", "/", "~")) or model.count("/") > 1):
        raise WriterError(f"writer.model={model}: there is no such folder")
    try:
        config = AutoConfig.from_pretrained(model, revision=revision, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise _does_not_load(model, error) from error
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise WriterError(
            f"writer.model={model} is a {config.model_type} model, no causal language model: name one such as Llama, "
            "Qwen or GPT-2"
        )
    return config


def _does_not_load(model: str, error: Exception) -> WriterError:
    return WriterError(f"writer.model={model} does not load: {error_line(error)}")
