"""Loads the causal language model to fine-tune, and adds LoRA."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from conf.config_errors import ConfigError
from pipeline.finetune.finetune_settings import Base, Lora
from stages.writers.transformers_writer import load_config, load_pretrained


@dataclass(frozen=True)
class BaseModel:
    """A model and its tokenizer, the dtype of the weights on disk, and the most tokens that the model takes."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    dtype: torch.dtype
    window: int


def load_base(base: Base, lora: Lora) -> BaseModel:
    """Load the model in fp32, or with LoRA on a GPU in the dtype of its weights. Accepts only safetensors.

    Raises:
        WriterError: the model does not exist, is not a causal language model, or does not load.
        ConfigError: its tokenizer has no end token.
    """
    config = load_config(base.model, base.revision)
    dtype = "auto" if lora.rank and on_gpu(base) else torch.float32
    tokenizer, model = load_pretrained(
        AutoModelForCausalLM, "writer.model", base.model, base.revision, dtype=dtype
    )
    if tokenizer.eos_token_id is None:
        raise ConfigError(f"writer.model={base.model}: its tokenizer has no end token (eos_token)")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    positions = getattr(config, "max_position_embeddings", None) or math.inf
    window = int(min(positions, tokenizer.model_max_length))
    return BaseModel(model, tokenizer, config.dtype or torch.float32, window)


def on_gpu(base: Base) -> bool:
    """Return True if training runs on a GPU."""
    return base.device != "cpu" and torch.cuda.is_available()


def add_lora(model: PreTrainedModel, lora: Lora) -> PreTrainedModel:
    """Add low-rank updates (Hu et al. 2021) to every linear layer; only these are trained.

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
