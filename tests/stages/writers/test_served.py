"""The endpoint's writer before a server that others wrote."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import miniworld
from pipeline.config import resolve
from stages.writers import factory
from stages.writers.base import Answer, EditRequest, WriterError
from tests.stages.writers.openai_server import KEY
from tests.stages.writers.served import MODEL, free_port, transformers_server


def test_a_model_behind_an_endpoint_writes_what_it_writes_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    lines = miniworld.CAPTIONS.read_text().splitlines()[:6]
    asked = [EditRequest(json.loads(line)["input"], seed) for seed, line in enumerate(lines)]
    port = free_port()
    given = ["captions.path=unread", "writer.temperature=0", "writer.ask=completion", "writer.max_tokens=96"]
    here = factory.make(resolve.read_pairs_settings([*given, "writer=miniworld"]).writer).write(asked)
    endpoint = [f"writer.model={MODEL}", f"writer.endpoint=http://127.0.0.1:{port}/v1", "writer.retries=0"]
    read = resolve.read_pairs_settings([*given, "writer=openai", *endpoint]).writer
    with transformers_server(port):
        writer = factory.make(read)
        there = writer.write(asked)
    assert all(isinstance(answer, Answer) and not answer.reason for answer in here)
    assert there == here
    with pytest.raises(WriterError, match="does not answer"):
        factory.make(replace(read, timeout=2.0))
    with pytest.raises(WriterError, match="does not answer"):
        writer.write(asked)
