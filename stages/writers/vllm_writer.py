"""vLLM's engine as a writer, in the process that holds the stage."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from typing import Any

from conf.messages import error_line
from conf.pairs import Writer as Settings
from stages.writers.base import Answer, Asked, NoAnswer, WriterError, answer_of
from stages.writers.completion_format import CompletionFormat, FormatError
from stages.writers.prompts import Asking, JsonAnswer, chosen, encoded

# Read when vLLM is imported. Without a process of its own the engine schedules the same requests in the same way every
# time, and ends with the stage; and nothing is told to anybody.
_ENVIRONMENT = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}


class VllmWriter:
    """Asks all of a unit's captions in one call, which the engine batches by itself.

    An answer depends on its own seed and, in its last bits, on the others of its unit, as the engine's batches do: the
    same unit on the same hardware is written the same, whatever units were before it.
    """

    def __init__(self, settings: Settings, format: CompletionFormat) -> None:
        """Load the model into all GPUs that this process sees.

        Raises:
            WriterError: vLLM or what it runs on is missing, the model does not load, there is no such template.
        """
        check()
        import torch
        import vllm
        from transformers import AutoTokenizer

        from stages.writers.transformers_writer import identify

        identify(settings.model, settings.revision)
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(
                settings.model, revision=settings.revision, trust_remote_code=False
            )
            self._engine = vllm.LLM(
                settings.model,
                revision=settings.revision,
                tokenizer_revision=settings.revision,
                # By itself it would take a pickle where there is nothing else.
                load_format="safetensors",
                trust_remote_code=False,
                dtype=_DTYPES[settings.dtype.value],
                max_model_len=settings.context,
                gpu_memory_utilization=settings.gpu_memory,
                tensor_parallel_size=max(1, torch.cuda.device_count()),
            )
        # Of whatever kind: memory that does not suffice, an architecture that is not known, weights that are not there.
        except Exception as error:
            raise WriterError(
                f"writer.model={settings.model} does not load in vLLM: {error_line(error)}"
            ) from error
        conversations = bool(self._tokenizer.chat_template)
        self._asking = chosen(settings.ask, conversations, format, settings.template)
        self._settings = settings
        self._tokens = int(self._engine.llm_engine.model_config.max_model_len)

    def write(self, asked: Sequence[Asked]) -> list[Answer | NoAnswer]:
        """As ``Writer.write`` says, on the same hardware, of the same unit."""
        import vllm

        answers: list[Answer | NoAnswer] = [NoAnswer("it was not asked for")] * len(asked)
        places, prompts, drawn = [], [], []
        for place, one in enumerate(asked):
            try:
                ids = encoded(self._tokenizer, self._asking, one.caption)
            except FormatError:
                answers[place] = Answer(reason="separator_in_caption", text=one.caption)
                continue
            if len(ids) + self._settings.max_tokens > self._tokens:
                answers[place] = NoAnswer(
                    f"its prompt of {len(ids)} tokens and an answer of {self._settings.max_tokens} do not fit "
                    f"into the {self._tokens} that the model has (writer.context)"
                )
                continue
            places.append(place)
            prompts.append({"prompt_token_ids": ids})
            drawn.append(vllm.SamplingParams(**sampling(self._settings, self._asking, one.seed)))
        # What the units before left in the cache would be read in place of being computed: other last bits.
        self._engine.reset_prefix_cache()
        made = self._engine.generate(prompts, drawn, use_tqdm=False) if prompts else []
        for place, one in zip(places, made, strict=True):
            text = str(one.outputs[0].text)
            answers[place] = answer_of(text, self._asking.parse(text))
        return answers


def sampling(settings: Settings, asking: Asking, seed: int) -> dict[str, Any]:
    """What ``vllm.SamplingParams`` takes for one answer."""
    drawn: dict[str, Any] = {
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "max_tokens": settings.max_tokens,
        "seed": seed,
    }
    if asking.stop:
        return {**drawn, "stop": [asking.stop], "include_stop_str_in_output": True}
    if settings.structured:
        from vllm.sampling_params import StructuredOutputsParams

        drawn["structured_outputs"] = StructuredOutputsParams(json=JsonAnswer.model_json_schema())
    return drawn


def check() -> None:
    """Raises WriterError where there is no vLLM, or nothing that it runs on."""
    os.environ.update({name: os.environ.get(name, value) for name, value in _ENVIRONMENT.items()})
    if importlib.util.find_spec("vllm") is None:
        raise WriterError(
            "writer=vllm needs vLLM: pip install 'pairforge[vllm]', or start its server anywhere (vllm serve NAME) and "
            "give writer=openai writer.endpoint=http://HOST:8000/v1"
        )
    try:
        from vllm.platforms import current_platform
    # Built for another CUDA, or for another torch: whatever its libraries raise.
    except Exception as error:
        raise WriterError(f"writer=vllm: vLLM cannot be imported: {error_line(error)}") from error
    if not current_platform.device_type:
        raise WriterError(
            "writer=vllm needs a GPU, and this machine has none that vLLM knows: take writer=transformers, or "
            "writer=openai and the address of a server"
        )


_DTYPES = {"auto": "auto", "fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
