from __future__ import annotations

from pathlib import Path

import pytest

from tests.llamas import save_llama

CHAT = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A causal language model that has learnt nothing."""
    return save_llama(tmp_path_factory.mktemp("untrained"))


@pytest.fixture(scope="session")
def untrained_chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("chat"), chat_template=CHAT)
