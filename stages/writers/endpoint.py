"""Any OpenAI-compatible endpoint as a writer: vLLM, llama.cpp, a hosted one."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from conf.pairs import Ask
from conf.pairs import Writer as Settings
from stages.writers.asking import Asking, ByCompletion, ByExamples, JsonAnswer
from stages.writers.format import CompletionFormat, FormatError
from stages.writers.template import load as load_template
from stages.writers.writer import Answer, Asked, NoAnswer, WriterError, answer_of

_NO_KEY = "none"
"""What the client sends where there is no key: it takes no empty one."""


class OpenAIWriter:
    """Asks ``writer.endpoint`` by the official client, which waits as Retry-After says and backs off before it tries
    again.

    The key is read from the environment when the writer is made, is sent to the endpoint, and goes nowhere else.
    """

    def __init__(self, settings: Settings) -> None:
        """Ask the endpoint whether it is there.

        Raises:
            WriterError: the library or the key is missing, the endpoint does not answer, refuses the key or has no such
                model; there is no such template.
        """
        try:
            import openai
        except ImportError as error:
            raise WriterError("writer=openai needs its client: pip install 'pairforge[pairs]'") from error
        self._openai = openai
        self._settings = settings
        self._key = key_of(settings)
        self._client = openai.OpenAI(
            api_key=self._key or _NO_KEY,
            base_url=settings.endpoint,
            timeout=settings.timeout,
            max_retries=settings.retries,
        )
        self._asking: Asking = ByCompletion(
            CompletionFormat(settings.format.separator, settings.format.divider, settings.format.stop)
        )
        if settings.ask is not Ask.completion:
            self._asking = ByExamples(load_template(settings.template))
        self._wait = _Pace(settings.requests_per_minute)
        self._look()

    def write(self, asked: Sequence[Asked]) -> list[Answer | NoAnswer]:
        """As ``Writer.write`` says, as far as the endpoint keeps to seeds.

        What it refuses, or still fails at after ``writer.retries``, gives no answer. Raises WriterError if it is gone.
        """
        with ThreadPoolExecutor(self._settings.concurrency) as pool:
            try:
                return list(pool.map(self._answer, asked))
            finally:
                pool.shutdown(cancel_futures=True)

    def _look(self) -> None:
        """Raises WriterError for an endpoint that cannot be used. One without a list of models is taken at its word."""
        openai, endpoint, model = self._openai, self._settings.endpoint, self._settings.model
        try:
            names = [one.id for one in self._client.with_options(max_retries=1).models.list()]
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise self._refused(error) from None
        except openai.APIConnectionError:
            raise self._gone() from None
        except (openai.OpenAIError, ValueError, AttributeError, TypeError):
            return
        if names and model not in names:
            shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
            raise WriterError(
                self._safe(f"writer.endpoint={endpoint} has no model {model!r}: it has {shown}")
            )

    def _answer(self, asked: Asked) -> Answer | NoAnswer:
        openai = self._openai
        self._wait()
        try:
            text = self._ask(asked)
        except FormatError:
            return Answer(reason="separator_in_caption", text=asked.caption)
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise self._refused(error) from None
        except openai.APITimeoutError:
            return NoAnswer(f"no answer in {self._settings.timeout:g} s, {self._settings.retries + 1} times")
        except openai.APIConnectionError:
            raise self._gone() from None
        except openai.APIStatusError as error:
            return NoAnswer(self._safe(f"HTTP {error.status_code}: {_line(error)}"))
        except (openai.OpenAIError, ValueError, AttributeError, IndexError, TypeError) as error:
            # Servers that only look like one: an answer without choices, or that is no JSON.
            return NoAnswer(self._safe(f"no answer of this protocol: {type(error).__name__}: {_line(error)}"))
        text = self._safe(text)
        return answer_of(text, self._asking.parse(text))

    def _ask(self, asked: Asked) -> str:
        settings = self._settings
        # Not every server takes a seed of more than 31 bits.
        drawn = {
            "model": settings.model,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "max_tokens": settings.max_tokens,
            "seed": asked.seed & 0x7FFFFFFF,
        }
        if isinstance(self._asking, ByExamples):
            more: dict[str, Any] = {"response_format": _SCHEMA} if settings.structured else {}
            told: Any = self._client.chat.completions.create(
                messages=self._asking.messages(asked.caption), **drawn, **more
            )
            return str(told.choices[0].message.content or "")
        stop = self._asking.stop
        told = self._client.completions.create(
            prompt=self._asking.prompt(asked.caption), stop=[stop], **drawn
        )
        choice = told.choices[0]
        # A server leaves the stop sequence away that it met.
        met = choice.finish_reason == "stop" and stop not in choice.text
        return f"{choice.text}{stop}" if met else str(choice.text)

    def _gone(self) -> WriterError:
        return WriterError(
            f"writer.endpoint={self._settings.endpoint} does not answer: start the server, or give another address "
            "that ends with /v1"
        )

    def _refused(self, error: Exception) -> WriterError:
        where = f" in {self._settings.key_env}" if self._settings.key_env else ""
        return WriterError(
            self._safe(f"writer.endpoint={self._settings.endpoint} refuses the key{where}: {_line(error)}")
        )

    def _safe(self, text: str) -> str:
        # Servers tell what they were sent.
        return text.replace(self._key, "***") if self._key else text


def key_of(settings: Settings) -> str:
    """The key that the environment has, "" if none is wanted. Raises WriterError for one that is missing."""
    if settings.key_env is None:
        return ""
    key = os.environ.get(settings.key_env, "")
    if not key:
        raise WriterError(
            f"the environment has no key in {settings.key_env}: export it, name another variable by writer.key_env=…, "
            "or give writer.key_env=null for an endpoint without one"
        )
    return key


class _Pace:
    """Lets callers through no faster than so many a minute, one after the other at equal distances."""

    def __init__(self, per_minute: float | None, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds = 60 / per_minute if per_minute else 0.0
        self._now = now
        self._next = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> None:
        if not self._seconds:
            return
        with self._lock:
            start = max(self._now(), self._next)
            self._next = start + self._seconds
        time.sleep(max(0.0, start - self._now()))


_SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "edit", "strict": True, "schema": JsonAnswer.model_json_schema()},
}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
