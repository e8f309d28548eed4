"""Options of caption pairs through whole runs, held to the library called with the same requests."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import miniworld
import p2p
from pipeline.cli.main import main
from stages.formats import tar

TEXTS = {"input": "a red ball on grass", "edit": "make the ball blue", "output": "a blue ball on grass"}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"alignment": [["red ball", "blue ball"]]},
    {"blend": {"source": "ball", "target": ["blue", "ball"], "threshold": 0.4}},
    {"negative_prompt": "a red ball"},
    {"only": ["ball"]},
    {"reweight": {"blue": 2.0}},
    {"self_max_size": 0.5},
    {"word_taus": {"blue": 0.1}},
]
WRONG = [{"only": ["boat"]}, {"reweight": 2}, {"self_max_size": 0.1}]
SETTINGS = ("unit_pairs=1", "sweep=grid", "sweep.seeds=1", "sweep.taus=[0.3,0.8]", "sampler.steps=8")
PERMISSIVE = tuple(f"filter.clip_sim_{name}=-1" for name in ("0", "1", "dir", "image"))


def samples(out: Path) -> dict[str, dict[str, bytes]]:
    shards = sorted((out / "data").iterdir())
    return {key: files for shard in shards for key, files in tar.read_samples(shard.read_bytes())}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_options_make_the_librarys_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path, out = tmp_path / "pairs.jsonl", tmp_path / "out"
    path.write_text("".join(json.dumps({**TEXTS, **options}) + "\n" for options in (*OPTIONS, *WRONG)))
    run = [*SETTINGS, *PERMISSIVE, "captions=jsonl", f"captions.path={path}", f"out={out}", "keep=all-images"]
    assert main([*run, "edit.self_max_size=0.9", "cluster.workers=1"]) == 0
    bad = [json.loads(line) for line in (out / "quarantine/lines.jsonl").read_text().splitlines()]
    assert [record["line"] for record in bad] == [9, 10, 11]
    assert all(name in record["reason"] for record, (name,) in zip(bad, WRONG, strict=True))

    editor, stored = p2p.load(miniworld.MODEL), samples(out)
    metadata = {key: json.loads(files["json"]) for key, files in stored.items()}
    assert sorted(data["meta"] for data in metadata.values()) == sorted(map(json.dumps, OPTIONS))
    for key, data in metadata.items():
        options = json.loads(data["meta"])
        assert data["self_max_size"] == options.get("self_max_size", 0.9)
        request: dict[str, Any] = {"self_max_size": 0.9, **options}
        sweep = editor.sweep(
            source=data["input_prompt"],
            target=data["output_prompt"],
            taus=(0.3, 0.8),
            **{name: data[name] for name in ("seed", "steps", "sampler", "cross_gain", "self_gain")},
            guidance_scale=data["cfg_scale"],
            **request,
        )
        edited = sweep.edits[(0.3, 0.8).index(data["p2p_threshold"])]
        for name, image in (("input_image", sweep.source), ("edited_image", edited)):
            np.testing.assert_array_equal(Image.open(io.BytesIO(stored[key][f"{name}.png"])), image)

    assert main(run) == 2  # another setting
    assert main([*run, "edit.self_max_size=0.9"]) == 0
    assert main(["verify", str(out)]) == 0
    key = next(key for key, data in metadata.items() if "blend" in data["meta"])
    capsys.readouterr()
    assert main(["replay", str(out), key]) == 0
    assert "no difference" in capsys.readouterr().out
    assert main(["refilter", str(out), f"out2={tmp_path / 'again'}", "filter.clip_sim_dir=-0.5"]) == 0
    assert samples(tmp_path / "again").keys() <= stored.keys()
    assert all(stored[key] == files for key, files in samples(tmp_path / "again").items())


def test_wrong_options_alone_end_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps({**TEXTS, **options}) + "\n" for options in WRONG))
    out = tmp_path / "out"
    assert main(["captions=jsonl", f"captions.path={path}", f"out={out}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "has no good line of 3" in line
    assert "only: 'boat' is not in" in line
    assert not out.exists()
