"""The causal language model that fine-tuning begins with."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from conf.compose import ConfigError
from pipeline.finetune.finetune_settings import Base, Lora
from stages.writers.transformers_writer import config_of


@dataclass(frozen=True)
class Loaded:
    """A model, its tokenizer, the precision of the folder it came from, and the tokens it takes."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    dtype: torch.dtype
    window: int


def load(base: Base, lora: Lora) -> Loaded:
    """The model with all its weights in fp32; for LoRA on a GPU in their own precision. Safetensors only.

    Raises:
        WriterError: there is no such model, or it is no causal language model.
        ConfigError: it does not load.
    """
    config = config_of(base.model, base.revision)
    keep = lora.rank and on_gpu(base)
    try:
        tokenizer = AutoTokenizer.from_pretrained(base.model, revision=base.revision, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(
            base.model,
            revision=base.revision,
            dtype="auto" if keep else torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"writer.model={base.model} does not load: {reason[:300]}") from error
    if tokenizer.eos_token_id is None:
        raise ConfigError(f"writer.model={base.model}: its tokenizer has no end token (eos_token)")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Loaded(model, tokenizer, config.dtype or torch.float32, _window(config, tokenizer))


def _window(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    return int(min(getattr(config, "max_position_embeddings", None) or math.inf, tokenizer.model_max_length))


def on_gpu(base: Base) -> bool:
    """Whether training runs on a GPU."""
    return base.device != "cpu" and torch.cuda.is_available()


def with_lora(model: PreTrainedModel, lora: Lora) -> PreTrainedModel:
    """The model with low-rank updates (Hu et al. 2021) beside every linear layer, the only weights that are trained.

    Raises:
        ConfigError: peft is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ConfigError(
            f"lora.rank={lora.rank} needs peft: pip install 'pairforge[finetune]', or lora.rank=0"
        ) from error
    settings = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, settings)  # type: ignore[no-any-return]
