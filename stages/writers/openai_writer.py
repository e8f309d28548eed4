"""Writes edits with any OpenAI-compatible endpoint: vLLM, llama.cpp, a hosted service."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from conf.messages import error_line
from conf.pairs import Writer as Settings
from stages.writers.base import Answer, EditRequest, NoAnswer, WriterError, to_answer
from stages.writers.completion_format import FormatError
from stages.writers.few_shot_template import FewShotTemplate, JsonAnswer
from stages.writers.prompts import choose_style

_HOLDS = 3
"""Pauses of all requests after which a rate limit ends the run."""
_HOLD, _LONGEST_HOLD = 60.0, 900.0
"""Seconds of a pause: the default, and the maximum."""
_NEWER_LIMIT = "max_completion_tokens"
_NO_KEY = "none"
"""The key for endpoints without one: the client does not accept an empty key."""


class OpenAIWriter:
    """Sends requests to ``writer.endpoint`` with the official client, which respects Retry-After and retries.

    The key is read from the environment once and sent to the endpoint only.
    """

    def __init__(self, settings: Settings) -> None:
        """Connects to the endpoint.

        Raises:
            WriterError: the library or the key is missing, the endpoint does not answer, refuses the key or has no such
                model; the template is missing.
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
            # The retries of the client count too.
            http_client=openai.DefaultHttpxClient(event_hooks={"request": [lambda _: self._wait()]}),
        )
        # Models behind an endpoint are assumed to be trained on conversations.
        self._style = choose_style(settings, conversations=True)
        self._limit = "max_tokens"
        self._check_model()

    def write(self, requests: Sequence[EditRequest]) -> list[Answer | NoAnswer]:
        """Implements ``Writer.write``, as far as the endpoint respects seeds.

        A request that is refused, or fails ``writer.retries`` times, gives no answer. Raises WriterError if the
        endpoint is gone or its rate limit stays exceeded.
        """
        with ThreadPoolExecutor(self._settings.concurrency) as pool:
            try:
                return list(pool.map(self._answer, requests))
            finally:
                pool.shutdown(cancel_futures=True)

    def _check_model(self) -> None:
        """Raises WriterError for an endpoint that is unusable or lists no such model. The list may be missing."""
        openai, model = self._openai, self._settings.model
        try:
            names = [entry.id for entry in self._client.with_options(max_retries=1).models.list()]
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise self._refused(error) from None
        except openai.APIConnectionError:
            raise self._gone() from None
        except (openai.OpenAIError, ValueError, AttributeError, TypeError):
            return
        if names and model not in names:
            shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
            raise self._error(f"has no model {model!r}: it has {shown}")

    def _answer(self, request: EditRequest) -> Answer | NoAnswer:
        openai = self._openai
        try:
            text = self._retry(request)
        except FormatError:
            return Answer(reason="separator_in_caption", text=request.caption)
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise self._refused(error) from None
        except openai.RateLimitError as error:
            raise self._error(
                f"lets no request through: {error_line(error)}; raise the limit or lower writer.requests_per_minute, "
                "what is committed stays, the same command goes on"
            ) from None
        except openai.APITimeoutError:
            return NoAnswer(f"no answer in {self._settings.timeout:g} s, {self._settings.retries + 1} times")
        except openai.APIConnectionError:
            raise self._gone() from None
        except openai.APIStatusError as error:
            return NoAnswer(self._safe(f"HTTP {error.status_code}: {error_line(error)}"))
        except (openai.OpenAIError, ValueError, AttributeError, IndexError, TypeError) as error:
            # Some servers answer without choices, or without JSON.
            return NoAnswer(
                self._safe(f"no answer of this protocol: {type(error).__name__}: {error_line(error)}")
            )
        text = self._safe(text)
        return to_answer(text, self._style.parse(text))

    def _retry(self, request: EditRequest) -> str:
        """Sends the request; pauses all requests if the rate limit is exceeded although the client has waited."""
        openai = self._openai
        for _ in range(_HOLDS):
            try:
                return self._ask(request)
            except openai.RateLimitError as error:
                if error.code == "insufficient_quota":
                    raise
                self._wait.hold(_seconds(error.response.headers.get("retry-after")))
            except openai.BadRequestError as error:
                # Newer OpenAI models count reasoning tokens too and have another name for the limit.
                if error.param != self._limit or self._limit == _NEWER_LIMIT:
                    raise
                self._limit = _NEWER_LIMIT
        return self._ask(request)

    def _ask(self, request: EditRequest) -> str:
        settings = self._settings
        # Some servers accept seeds of 31 bits only.
        arguments: dict[str, Any] = {
            "model": settings.model,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "seed": request.seed & 0x7FFFFFFF,
        }
        if isinstance(self._style, FewShotTemplate):
            arguments[self._limit] = settings.max_tokens
            if settings.structured:
                arguments["response_format"] = _SCHEMA
            messages: Any = self._style.messages(request.caption)
            response: Any = self._client.chat.completions.create(messages=messages, **arguments)
            return str(response.choices[0].message.content or "")
        stop = self._style.stop
        response = self._client.completions.create(
            prompt=self._style.prompt(request.caption),
            stop=[stop],
            max_tokens=settings.max_tokens,
            **arguments,
        )
        choice = response.choices[0]
        # Servers drop the stop sequence from the text.
        dropped = choice.finish_reason == "stop" and stop not in choice.text
        return f"{choice.text}{stop}" if dropped else str(choice.text)

    def _gone(self) -> WriterError:
        return self._error("does not answer: start the server, or give another address that ends with /v1")

    def _refused(self, error: Exception) -> WriterError:
        where = f" in {self._settings.key_env}" if self._settings.key_env else ""
        return self._error(f"refuses the key{where}: {error_line(error)}")

    def _error(self, reason: str) -> WriterError:
        return WriterError(self._safe(f"writer.endpoint={self._settings.endpoint} {reason}"))

    def _safe(self, text: str) -> str:
        # Servers repeat their input in errors.
        return text.replace(self._key, "***") if self._key else text


def key_of(settings: Settings) -> str:
    """Returns the key from the environment, "" if the endpoint has none. Raises WriterError for a missing key."""
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
    """Spaces callers equally, ``per_minute`` at most, and blocks them all during a pause."""

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
        seconds = float(retry_after or _HOLD)
    except ValueError:
        # A date, which few services send. The default suffices for limits by the minute.
        seconds = _HOLD
    return min(max(seconds, 0.0), _LONGEST_HOLD)


_SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "edit", "strict": True, "schema": JsonAnswer.model_json_schema()},
}
