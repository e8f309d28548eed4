"""Writes edits with vLLM's engine in the process of the stage."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from typing import Any

from conf.messages import error_line
from conf.pairs import Writer as Settings
from stages.writers.base import Answer, EditRequest, NoAnswer, WriterError, to_answer
from stages.writers.few_shot_template import JsonAnswer
from stages.writers.prompts import PromptStyle, choose_style, encode_prompt

# vLLM reads these when it is imported. In this process the engine schedules the same requests in the same way each
# time, and ends with the stage. Usage statistics are off.
_ENVIRONMENT = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}


class VllmWriter:
    """Writes all captions of a unit in one call, which the engine splits into batches.

    An answer depends on its seed and, in its last bits, on the other captions of its unit, which share its batches. The
    same unit gives the same answers on the same hardware, whatever units came before.
    """

    def __init__(self, settings: Settings) -> None:
        """Loads the model into all GPUs that this process sees.

        Raises:
            WriterError: vLLM or its hardware is missing, the model does not load, or the template is missing.
        """
        check()
        import torch
        import vllm
        from transformers import AutoTokenizer

        from stages.writers.transformers_writer import identify

        identify(settings.model, settings.revision)
        options = {"revision": settings.revision, "trust_remote_code": False}
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(settings.model, **options)
            self._engine = vllm.LLM(
                settings.model,
                tokenizer_revision=settings.revision,
                # Without this vLLM loads pickled weights if there are no others.
                load_format="safetensors",
                dtype=_DTYPES[settings.dtype.value],
                max_model_len=settings.context,
                gpu_memory_utilization=settings.gpu_memory,
                tensor_parallel_size=max(1, torch.cuda.device_count()),
                **options,
            )
        # Any error: too little memory, an unknown architecture, missing weights.
        except Exception as error:
            raise WriterError(
                f"writer.model={settings.model} does not load in vLLM: {error_line(error)}"
            ) from error
        self._style = choose_style(settings, conversations=bool(self._tokenizer.chat_template))
        self._settings = settings
        self._tokens = int(self._engine.llm_engine.model_config.max_model_len)

    def write(self, requests: Sequence[EditRequest]) -> list[Answer | NoAnswer]:
        """Implements ``Writer.write``, for the same unit on the same hardware."""
        import vllm

        answers: dict[int, Answer | NoAnswer] = {}
        places, prompts, parameters = [], [], []
        for place, request in enumerate(requests):
            ids = encode_prompt(self._tokenizer, self._style, request.caption)
            if isinstance(ids, Answer):
                answers[place] = ids
            elif len(ids) + self._settings.max_tokens > self._tokens:
                answers[place] = NoAnswer(
                    f"its prompt of {len(ids)} tokens and an answer of {self._settings.max_tokens} do not fit "
                    f"into the {self._tokens} that the model has (writer.context)"
                )
            else:
                places.append(place)
                prompts.append({"prompt_token_ids": ids})
                parameters.append(vllm.SamplingParams(**sampling(self._settings, self._style, request.seed)))
        # Cached prefixes of earlier units would change the last bits of the answers.
        self._engine.reset_prefix_cache()
        outputs = self._engine.generate(prompts, parameters, use_tqdm=False) if prompts else []
        for place, output in zip(places, outputs, strict=True):
            text = str(output.outputs[0].text)
            answers[place] = to_answer(text, self._style.parse(text))
        return [answers[place] for place in range(len(requests))]


def sampling(settings: Settings, style: PromptStyle, seed: int) -> dict[str, Any]:
    """Returns the arguments of ``vllm.SamplingParams`` for one answer."""
    arguments: dict[str, Any] = {
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "max_tokens": settings.max_tokens,
        "seed": seed,
    }
    if style.stop:
        return {**arguments, "stop": [style.stop], "include_stop_str_in_output": True}
    if settings.structured:
        from vllm.sampling_params import StructuredOutputsParams

        arguments["structured_outputs"] = StructuredOutputsParams(json=JsonAnswer.model_json_schema())
    return arguments


def check() -> None:
    """Raises WriterError if vLLM or a device for it is missing."""
    os.environ.update({name: os.environ.get(name, value) for name, value in _ENVIRONMENT.items()})
    if importlib.util.find_spec("vllm") is None:
        raise WriterError(
            "writer=vllm needs vLLM: pip install 'pairforge[vllm]', or start its server anywhere (vllm serve NAME) and "
            "give writer=openai writer.endpoint=http://HOST:8000/v1"
        )
    try:
        from vllm.platforms import current_platform
    # Any error: the build may be for another CUDA or torch.
    except Exception as error:
        raise WriterError(f"writer=vllm: vLLM cannot be imported: {error_line(error)}") from error
    if not current_platform.device_type:
        raise WriterError(
            "writer=vllm needs a GPU, and this machine has none that vLLM knows: take writer=transformers, or "
            "writer=openai and the address of a server"
        )


_DTYPES = {"auto": "auto", "fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
