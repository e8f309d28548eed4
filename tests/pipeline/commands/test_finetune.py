from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.pipeline.cli.test_main import refused


def test_it_prints_each_epoch_and_leaves_a_writer(base: Path, triples: Path, tmp_path: Path):
    """In its own process, because the libraries read the environment when they are imported."""
    out = tmp_path / "writer"
    arguments = [f"data={triples}", f"writer.model={base}", f"out={out}", "epochs=2", "limit=30"]
    command = [sys.executable, "-m", "pipeline.cli.main", "finetune", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=250)
    assert done.stderr == ""
    *_, first, second, last = done.stdout.splitlines()
    assert [line.split()[:2] for line in (first, second)] == [["epoch", "1/2:"], ["epoch", "2/2:"]]
    assert last.startswith(f"{out}: epoch ")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    assert len(tokenizer) == model.config.vocab_size
    assert not (out / "checkpoints").exists()


def test_a_wrong_setting_is_one_line_before_anything_is_read(tmp_path: Path, capsys):
    given = ["data=none.jsonl", "writer.model=none", f"out={tmp_path / 'out'}"]
    assert "epochs=0" in refused(capsys, "finetune", *given, "epochs=0")
    assert "pairforge finetune --help" in refused(capsys, "finetune", *given, "epoch=3")
    assert list(tmp_path.iterdir()) == []
