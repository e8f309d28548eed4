from __future__ import annotations

import socket
from collections.abc import Iterator

import numpy as np
import pytest

from conf.pairs import Ask, Writer, WriterKind
from miniworld.check_pair import Verdict, judge
from miniworld.scene import random_scene
from miniworld.scene_captions import caption
from stages.writers.base import Answer, EditRequest, NoAnswer, WriterError
from stages.writers.openai_writer import OpenAIWriter, _Pace, _seconds
from tests.stages.writers.openai_server import KEY, MODEL, Server, serving

ASKED = [EditRequest(caption(random_scene(np.random.default_rng(k))), seed=2**32 - 1 - k) for k in range(12)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving() as one:
        yield one


def writer(server: Server, **more: object) -> OpenAIWriter:
    settings = {
        "model": MODEL,
        "endpoint": server.url,
        "concurrency": 4,
        # On a busy machine an answer may take long; who is to meet a stall waits less.
        "timeout": 60.0,
        "retries": 2,
        **more,
    }
    return OpenAIWriter(Writer(kind=WriterKind.openai, **settings))


@pytest.mark.parametrize("ask", [Ask.auto, Ask.completion])
def test_answers_are_right_in_either_way_of_asking(server: Server, ask: Ask) -> None:
    answers = writer(server, ask=ask).write(ASKED)
    for asked, answer in zip(ASKED, answers, strict=True):
        assert isinstance(answer, Answer)
        assert judge(asked.caption, answer.instruction, answer.edited) is Verdict.right
    assert {path for _, path, _ in server.requests} == {
        "/v1/completions" if ask is Ask.completion else "/v1/chat/completions"
    }


def test_requests_are_bounded_and_carry_what_was_set(server: Server) -> None:
    server.delay = 0.05
    writer(server, concurrency=3, temperature=0.2, top_p=0.9, max_tokens=50, structured=True).write(ASKED)
    assert 2 <= server.most <= 3
    _, _, body = server.requests[0]
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.2, 0.9, 50)
    schema = body["response_format"]["json_schema"]
    assert schema["strict"]
    assert schema["schema"]["required"] == ["instruction", "edited_caption"]
    assert {body["seed"] for _, _, body in server.requests} == {one.seed & 0x7FFFFFFF for one in ASKED}


@pytest.mark.parametrize("fault", [429, 500, 503, "stall", "drop"])
def test_what_passes_is_asked_again(server: Server, fault: int | str) -> None:
    server.faults.append(fault)
    server.stall = 10.0
    (answer,) = writer(server, timeout=3.0 if fault == "stall" else 60.0).write(ASKED[:1])
    assert isinstance(answer, Answer)
    assert not answer.reason
    (first, _, _), (second, _, _) = server.requests
    # What Retry-After says, where it says something.
    assert second - first >= (0.29 if isinstance(fault, int) else 0)


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        ([500] * 3, "HTTP 500"),
        ([400], "HTTP 400"),
        (["stall"] * 3, "no answer in 1 s, 3 times"),
        (["garbage"], "no answer of this protocol"),
    ],
)
def test_what_stays_is_a_failure_of_its_caption_alone(
    server: Server, faults: list[int | str], reason: str
) -> None:
    one = writer(server, concurrency=1, timeout=1.0 if "stall" in faults else 60.0)
    server.faults.extend(faults)
    failed, *others = one.write(ASKED[:3])
    assert isinstance(failed, NoAnswer)
    assert failed.reason.startswith(reason)
    assert all(isinstance(other, Answer) for other in others)


@pytest.mark.parametrize(
    ("text", "ask", "reason"),
    [
        ("I cannot help with that", Ask.few_shot, "no_json"),
        ('{"instruction": "x"}', Ask.few_shot, "not_the_schema"),
        ("make it blue\n%%\na blue", Ask.completion, "no_stop"),
    ],
)
def test_malformed_answers_have_reasons(server: Server, text: str, ask: Ask, reason: str) -> None:
    server.faults.append(text)
    (answer,) = writer(server, ask=ask).write(ASKED[:1])
    assert answer == Answer(reason=reason, text=text)


def test_an_endpoint_that_is_gone_ends_the_writing(server: Server) -> None:
    one = writer(server, retries=0)
    server.faults.extend(["drop"] * 3)
    with pytest.raises(WriterError, match="does not answer"):
        one.write(ASKED[:3])


def test_what_cannot_be_used_is_one_line(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WriterError, match="has no model 'gpt': it has grammar"):
        writer(server, model="gpt")
    monkeypatch.setenv("OTHER", "wrong-key-123")
    with pytest.raises(WriterError, match="refuses the key in OTHER") as caught:
        writer(server, key_env="OTHER")
    assert "wrong-key-123" not in str(caught.value)
    monkeypatch.delenv("OTHER")
    with pytest.raises(WriterError, match="no key in OTHER"):
        writer(server, key_env="OTHER")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(WriterError, match="does not answer: start the server"):
        writer(server, endpoint=f"http://127.0.0.1:{port}/v1")


def test_an_endpoint_without_a_key(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    server.key = None
    (answer,) = writer(server, key_env=None).write(ASKED[:1])
    assert isinstance(answer, Answer)


def test_a_key_that_the_server_tells_is_not_repeated(server: Server) -> None:
    server.faults.extend(["echo", f"the key is {KEY}"])
    refused, told = writer(server, concurrency=1).write(ASKED[:2])
    assert isinstance(refused, NoAnswer)
    assert "you sent Bearer ***" in refused.reason
    assert KEY not in refused.reason
    assert told == Answer(reason="no_json", text="the key is ***")


def test_a_limit_that_is_met_is_nobody_s_failure(server: Server) -> None:
    one = writer(server, concurrency=1)
    # The client asks three times; then all wait as Retry-After says, and it asks again.
    server.faults.extend([429] * 5)
    (answer,) = one.write(ASKED[:1])
    assert isinstance(answer, Answer)
    assert len(server.requests) == 6
    server.faults.extend([429] * 12)
    with pytest.raises(WriterError, match=r"lets no request through.*the same command goes on"):
        one.write(ASKED[:1])


def test_an_account_without_money_ends_the_writing_at_once(server: Server) -> None:
    server.faults.extend(["quota"])
    with pytest.raises(WriterError, match="you exceeded your current quota"):
        writer(server).write(ASKED[:1])
    assert len(server.requests) == 1


def test_a_model_that_calls_its_limit_otherwise_is_asked_so(server: Server) -> None:
    server.faults.extend(["newer"])
    answers = writer(server, concurrency=1, max_tokens=77).write(ASKED[:3])
    assert all(isinstance(answer, Answer) and not answer.reason for answer in answers)
    assert "max_completion_tokens" not in server.requests[0][2]
    for _, _, body in server.requests[1:]:
        assert (body["max_completion_tokens"], "max_tokens" in body) == (77, False)


def test_the_request_limit_counts_retries(server: Server) -> None:
    one = writer(server, requests_per_minute=600)
    server.faults.extend([500, 500])
    one.write(ASKED[:4])
    times = sorted(when for when, _, _ in server.requests)
    assert len(times) == 6
    # Some milliseconds pass between the pace and the server.
    assert times[-1] - times[0] >= 0.45


def test_the_pace_is_kept_and_held() -> None:
    pace = _Pace(6000, now=lambda: 0.0)
    for _ in range(3):
        pace()
    assert pace._next == pytest.approx(0.03)
    pace.hold(0.05)
    pace.hold(0.01)
    assert pace._next == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [(None, 60), ("7", 7), ("0.3", 0.3), ("-3", 0), ("1e9", 900), ("Wed, 21 Oct 2026 07:28:00 GMT", 60)],
)
def test_how_long_nobody_asks(told: str | None, seconds: float) -> None:
    assert _seconds(told) == seconds
