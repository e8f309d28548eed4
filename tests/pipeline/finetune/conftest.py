from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from miniworld.triples import draw_triples
from tests.llamas import save_llama


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A causal language model of one layer with random weights in half precision, and the mini world's tokenizer."""
    folder = tmp_path_factory.mktemp("base") / "model"
    return save_llama(folder, layers=1, window=128, tied=True, dtype=torch.float16)


@pytest.fixture(scope="session")
def triples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 triples as JSON Lines."""
    path = tmp_path_factory.mktemp("triples") / "triples.jsonl"
    path.write_text("".join(json.dumps(edit.as_line()) + "\n" for edit in draw_triples(80)))
    return path
