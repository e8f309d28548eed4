"""Any OpenAI-compatible endpoint as a writer: vLLM, llama.cpp, a hosted one."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from conf.messages import error_line
from conf.pairs import Writer as Settings
from stages.writers.base import Answer, Asked, NoAnswer, WriterError, answer_of
from stages.writers.completion_format import CompletionFormat, FormatError
from stages.writers.prompts import ByExamples, JsonAnswer, chosen

_HOLDS = 3
"""So often nobody asks for a while, before what a limit keeps from being answered ends the run."""
_HOLD, _LONGEST_HOLD = 60.0, 900.0
"""Seconds, where a service does not say how long, and at most."""
_NEWER_LIMIT = "max_completion_tokens"
_NO_KEY = "none"
"""What the client sends where there is no key: it takes no empty one."""


class OpenAIWriter:
    """Asks ``writer.endpoint`` by the official client, which waits as Retry-After says and backs off before it tries
    again.

    The key is read from the environment when the writer is made, is sent to the endpoint, and goes nowhere else.
    """

    def __init__(self, settings: Settings, format: CompletionFormat | None = None) -> None:
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
        self._wait = _Pace(settings.requests_per_minute)
        self._client = openai.OpenAI(
            api_key=self._key or _NO_KEY,
            base_url=settings.endpoint,
            timeout=settings.timeout,
            max_retries=settings.retries,
            # What is asked again by the client itself counts as well.
            http_client=openai.DefaultHttpxClient(event_hooks={"request": [lambda _: self._wait()]}),
        )
        # What is behind an endpoint is taken to know conversations.
        self._asking = chosen(settings.ask, True, format or CompletionFormat(), settings.template)
        self._limit = "max_tokens"
        self._look()

    def write(self, asked: Sequence[Asked]) -> list[Answer | NoAnswer]:
        """As ``Writer.write`` says, as far as the endpoint keeps to seeds.

        What it refuses, or still fails at after ``writer.retries``, gives no answer. Raises WriterError if it is gone,
        or lets nobody through any more: that is no caption's fault.
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
        try:
            text = self._patiently(asked)
        except FormatError:
            return Answer(reason="separator_in_caption", text=asked.caption)
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise self._refused(error) from None
        except openai.RateLimitError as error:
            raise WriterError(
                self._safe(
                    f"writer.endpoint={self._settings.endpoint} lets no request through: {error_line(error)}; raise "
                    "the limit or lower writer.requests_per_minute, what is committed stays, the same command goes on"
                )
            ) from None
        except openai.APITimeoutError:
            return NoAnswer(f"no answer in {self._settings.timeout:g} s, {self._settings.retries + 1} times")
        except openai.APIConnectionError:
            raise self._gone() from None
        except openai.APIStatusError as error:
            return NoAnswer(self._safe(f"HTTP {error.status_code}: {error_line(error)}"))
        except (openai.OpenAIError, ValueError, AttributeError, IndexError, TypeError) as error:
            # Servers that only look like one: an answer without choices, or that is no JSON.
            return NoAnswer(
                self._safe(f"no answer of this protocol: {type(error).__name__}: {error_line(error)}")
            )
        text = self._safe(text)
        return answer_of(text, self._asking.parse(text))

    def _patiently(self, asked: Asked) -> str:
        """The answer. Where the limit is met although the client has waited, nobody asks for a while."""
        openai = self._openai
        for _ in range(_HOLDS):
            try:
                return self._ask(asked)
            except openai.RateLimitError as error:
                if error.code == "insufficient_quota":
                    raise
                self._wait.hold(_seconds(error.response.headers.get("retry-after")))
            except openai.BadRequestError as error:
                # Newer models of OpenAI's count their thinking as well, and call the limit otherwise.
                if error.param != self._limit or self._limit == _NEWER_LIMIT:
                    raise
                self._limit = _NEWER_LIMIT
        return self._ask(asked)

    def _ask(self, asked: Asked) -> str:
        settings = self._settings
        # Not every server takes a seed of more than 31 bits.
        drawn: dict[str, Any] = {
            "model": settings.model,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "seed": asked.seed & 0x7FFFFFFF,
        }
        if isinstance(self._asking, ByExamples):
            more: dict[str, Any] = {self._limit: settings.max_tokens}
            if settings.structured:
                more["response_format"] = _SCHEMA
            messages: Any = self._asking.messages(asked.caption)
            told: Any = self._client.chat.completions.create(messages=messages, **drawn, **more)
            return str(told.choices[0].message.content or "")
        stop = self._asking.stop
        told = self._client.completions.create(
            prompt=self._asking.prompt(asked.caption), stop=[stop], max_tokens=settings.max_tokens, **drawn
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
            self._safe(
                f"writer.endpoint={self._settings.endpoint} refuses the key{where}: {error_line(error)}"
            )
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
    """Lets callers through no faster than so many a minute, at equal distances, and nobody while it is held."""

    def __init__(self, per_minute: float | None, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds = 60 / per_minute if per_minute else 0.0
        self._now = now
        self._next = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            start = max(self._now(), self._next)
            self._next = start + self._seconds
        time.sleep(max(0.0, start - self._now()))

    def hold(self, seconds: float) -> None:
        with self._lock:
            self._next = max(self._next, self._now() + seconds)


def _seconds(retry_after: str | None) -> float:
    try:
        asked = float(retry_after or _HOLD)
    except ValueError:
        # A date, which few services send: long enough for what is counted by the minute.
        asked = _HOLD
    return min(max(asked, 0.0), _LONGEST_HOLD)


_SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "edit", "strict": True, "schema": JsonAnswer.model_json_schema()},
}
