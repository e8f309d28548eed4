"""The whole line, through the command, on real Ray: what it leaves behind, and what a kill does to it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import ray
import webdataset
from datasets import load_dataset
from PIL import Image

from pipeline.cli.main import main
from stages.formats.tar import decode_image
from stages.generate import Generate
from stages.records import CaptionPair, Unit
from tests import runs

ROOT = Path(__file__).parents[3]
SIZE = 3

# Some 15 seconds a run on a free machine; a busy one may take many times that.
SECONDS = 550
pytestmark = pytest.mark.timeout(600)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pipeline.cli.main", *arguments]


def environment() -> dict[str, str]:
    # The tests' machine may be busy, and Ray's workers give way to everybody else unless they are told not to.
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}


class Run:
    """A folder with caption pairs, some of them bad, and the settings of a run on them."""

    def __init__(self, folder: Path, model: Path, clip: Path) -> None:
        self.folder, self.model, self.clip = folder, model, clip
        self.out = folder / "out"
        pairs = runs.write_pairs(folder / "pairs.jsonl", [*runs.PAIRS, runs.PAIRS[1]])
        too_long = {"input": "cat " * 50, "edit": "e", "output": "dog"}
        with pairs.open("a") as stream:
            stream.write(f"not json\n{json.dumps(too_long)}\n")

    def settings(self, *more: str) -> list[str]:
        source = ["captions=jsonl", "captions.path=pairs.jsonl"]
        return [
            *runs.settings(self.model, self.clip),
            *source,
            f"shards.samples={SIZE}",
            "cluster.workers=1",
            "sheet.pairs=3",
            *more,
        ]

    def start(self, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command(*self.settings(*more)),
            cwd=self.folder,
            env=environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, sd1_folder: Path, clip_folder: Path) -> Run:
    return Run(tmp_path_factory.mktemp("run"), sd1_folder, clip_folder)


@pytest.fixture(scope="module")
def said(run: Run) -> tuple[str, str]:
    """What the finished run printed: stdout, stderr."""
    process = run.start()
    stdout, stderr = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, stderr
    return stdout, stderr


@pytest.fixture
def out(run: Run, said: tuple[str, str]) -> Path:
    return run.out


def samples(out: Path) -> list[dict]:
    shards = sorted(str(path) for path in (out / "data").iterdir())
    return list(webdataset.WebDataset(shards, shardshuffle=False))


def dataset(out: Path, cache: Path):
    return load_dataset(str(out), split="train", cache_dir=str(cache))


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_the_terminal_has_the_funnel_and_nobody_s_chatter(said: tuple[str, str], run: Run):
    stdout, stderr = said
    numbers = {
        line.split(maxsplit=1)[1].strip(): line.split()[0] for line in stdout.splitlines() if line.strip()
    }
    told = {text.split("  ")[0]: count for text, count in numbers.items()}
    assert told["caption pairs read"] == "8"
    assert told["quarantined lines"] == "3"
    assert told["candidates"] == "30"
    assert told["samples kept"] == "10"
    assert "out: data/*.tar" in stdout
    assert "ray" not in stderr.lower()
    assert "warning" not in stderr.lower()
    assert sorted(path.name for path in run.folder.iterdir()) == ["out", "pairs.jsonl"]


def test_shards_are_of_the_exact_size_without_a_gap(out: Path):
    names = [path.name for path in sorted((out / "data").iterdir())]
    assert names == [f"train-{number:06d}.tar" for number in range(4)]
    counts = Counter(sample["__url__"].rsplit("/", 1)[-1] for sample in samples(out))
    assert [counts[name] for name in names] == [3, 3, 3, 1]


def test_webdataset_reads_what_was_generated(out: Path, run: Run):
    generate = Generate(runs.config(run.model, run.clip), "")
    units = (Unit(0, runs.PAIRS[:2]), Unit(1, runs.PAIRS[2:4]), Unit(2, runs.PAIRS[4:]))
    wanted = [sample for unit in units for sample in generate(unit).samples]
    read = samples(out)
    assert [sample["__key__"] for sample in read] == [sample.key for sample in wanted]
    for sample, own in zip(read, wanted, strict=True):
        np.testing.assert_array_equal(decode_image(sample["input_image.png"]), own.input_image)
        np.testing.assert_array_equal(decode_image(sample["edited_image.png"]), own.edited_image)
        assert sample["edit_prompt.txt"].decode() == own.edit_prompt
        about = json.loads(sample["json"])
        assert len(about.pop("model_fingerprint")) >= 16
        assert about == {name: value for name, value in own.metadata.items() if name != "model_fingerprint"}


def test_load_dataset_reads_the_folder_by_its_card(out: Path, tmp_path: Path):
    data = dataset(out, tmp_path)
    assert len(data) == 10
    assert {"__key__", "input_image.png", "edited_image.png", "edit_prompt.txt", "json"} <= set(
        data.column_names
    )
    row, (first, *_) = data[0], samples(out)
    assert isinstance(row["input_image.png"], Image.Image)
    np.testing.assert_array_equal(
        np.asarray(row["edited_image.png"]), decode_image(first["edited_image.png"])
    )
    assert row["edit_prompt.txt"] == first["edit_prompt.txt"].decode()
    fields = data.features["json"]
    floats = ("p2p_threshold", "cfg_scale", "clip_sim_0", "clip_sim_1", "clip_sim_dir", "clip_sim_image")
    assert {fields[name].dtype for name in floats} == {"float64"}
    assert {fields[name].dtype for name in ("seed", "sample_index", "steps")} == {"int64"}
    assert fields["meta"].dtype == "string"
    assert [text["meta"] for text in data["json"]][-1] == '{"url": "http://a"}'


def test_every_candidate_s_scores_are_there_with_the_verdict(out: Path):
    (file,) = (out / "scores").iterdir()
    rows = pq.read_table(file).to_pylist()
    assert Counter(row["reason"] for row in rows) == {"": 10, "other_tau_of_seed": 20}
    kept = {(row["pair_id"], row["sample_index"]): row for row in rows if row["kept"]}
    for sample in samples(out):
        about = json.loads(sample["json"])
        row = kept[about["pair_id"], about["sample_index"]]
        assert (row["seed"], row["p2p_threshold"]) == (about["seed"], about["p2p_threshold"])
        assert np.float32(about["clip_sim_dir"]) == np.float32(row["clip_sim_dir"])


def test_bad_lines_are_in_quarantine_with_file_line_and_reason(out: Path):
    lines = [json.loads(line) for line in (out / "quarantine/lines.jsonl").read_text().splitlines()]
    assert [line["line"] for line in lines] == [6, 7, 8]
    assert {Path(line["file"]).name for line in lines} == {"pairs.jsonl"}
    repeated, not_json, too_long = (line["reason"] for line in lines)
    assert "line 2" in repeated
    assert "JSON" in not_json
    assert "tokens" in too_long


def test_the_contact_sheet_has_a_row_a_pair(out: Path):
    sheet = Image.open(out / "contact-sheet.png")
    assert sheet.height > 3 * 128
    assert sheet.width > 4 * 128


def test_what_made_it_is_written_down(out: Path):
    assert "steps: 4" in (out / "run/config.yaml").read_text()
    versions = json.loads((out / "run/versions.json").read_text())
    assert {"torch", "diffusers", "ray", "pairforge"} <= versions.keys()
    assert len(list((out / "run/commits").iterdir())) == 3


def test_where_the_time_went_is_written_down(out: Path, said: tuple[str, str]):
    commits = [json.loads(path.read_text()) for path in sorted((out / "run" / "commits").iterdir())]
    for commit in commits:
        assert set(commit["seconds"]) == {"denoise", "decode", "score", "preview", "between"}
        assert all(seconds >= 0 for seconds in commit["seconds"].values())
    [beat] = [json.loads(path.read_text()) for path in (out / "run" / "drivers").iterdir()]
    assert beat["first_kept"] > 0
    assert f"First sample kept after {beat['first_kept']:.0f} s; " in said[0]


def test_a_finished_run_prints_json_or_nothing_when_quiet(out: Path, run: Run, monkeypatch, capsys):
    monkeypatch.chdir(run.folder)
    assert main([*run.settings(), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["read"], told["quarantined"], told["candidates"], told["samples"]) == (8, 3, 30, 10)
    assert main(["--quiet", *run.settings()]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_same_command_again_does_nothing_twice(out: Path, run: Run, monkeypatch, capsys):
    monkeypatch.chdir(run.folder)
    data = ("data", "scores", "run/commits", "run/parts", "run/plan")
    before = {path: path.stat().st_mtime_ns for name in data for path in (out / name).iterdir()}
    assert main(run.settings()) == 0
    assert {path: path.stat().st_mtime_ns for name in data for path in (out / name).iterdir()} == before
    assert "samples kept" in capsys.readouterr().out


def test_other_settings_on_the_same_output_are_refused_by_name(out: Path, run: Run, monkeypatch, capsys):
    monkeypatch.chdir(run.folder)
    assert main(run.settings("seed=1", "sweep.taus=[0.2,0.5]", "cluster.workers=2")) == 2
    line, *table = capsys.readouterr().err.splitlines()
    assert "run/config.yaml" in line
    assert "out=" in line
    assert [row.split(maxsplit=1) for row in table] == [
        ["setting", "planned          now"],
        ["seed", "0                1"],
        ["sweep.taus", "[0.2, 0.5, 1.0]  [0.2, 0.5]"],
    ]


@pytest.mark.long
def test_a_killed_run_goes_on_to_byte_identical_shards(out: Path, run: Run):
    again = run.folder.parent / "again"
    killed = Run(_fresh(again), run.model, run.clip)
    process = killed.start()
    deadline = time.monotonic() + SECONDS
    while not list((killed.out / "run/commits").glob("*.json")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    done = len(list((killed.out / "run/commits").glob("*.json")))
    process = killed.start()
    _, stderr = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, stderr
    assert done >= 1
    assert digests(killed.out / "data") == digests(out / "data")
    assert digests(killed.out / "scores") == digests(out / "scores")


@pytest.fixture
def running_cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a Ray cluster that runs already, as somebody else has started it."""
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


@pytest.mark.long
def test_v_prediction_runs_on_an_existing_cluster(
    tmp_path: Path, sd2_folder: Path, clip_folder: Path, running_cluster: str
):
    pairs = (*runs.PAIRS[:1], CaptionPair("a cone", "make it a star", "a star", '{"note": 1}'))
    runs.write_pairs(tmp_path / "pairs.jsonl", pairs)
    random = ("sweep=random", "sweep.samples=3", "sampler=euler_ancestral", "edit=instructpix2pix")
    settings = runs.settings(sd2_folder, clip_folder, *random, "shards=webp")
    more = (
        "captions=jsonl",
        "captions.path=pairs.jsonl",
        "cluster=ray",
        f"cluster.address={running_cluster}",
    )
    done = subprocess.run(
        command(*settings, *more),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    read = samples(tmp_path / "out")
    about = [json.loads(sample["json"]) for sample in read]
    assert len({(text["p2p_threshold"], text["cfg_scale"], text["seed"]) for text in about}) == 6
    assert {decode_image(sample["edited_image.webp"]).shape for sample in read} == {(16, 16, 3)}
    assert len(dataset(tmp_path / "out", tmp_path / "cache")) == 6


@pytest.mark.long
def test_a_model_that_the_workers_may_not_load_is_one_line(run: Run, tmp_path: Path):
    broken = Run(_fresh(tmp_path / "broken"), runs.pickled(run.model, tmp_path / "model"), run.clip)
    process = broken.start()
    _, stderr = process.communicate(timeout=SECONDS)
    assert process.returncode == 2
    (line,) = stderr.splitlines()
    assert "pickled" in line


def _fresh(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.long
def test_a_setting_that_fails_every_pair_ends_with_one_line(run: Run, tmp_path: Path):
    (tmp_path / "sick_sampler.py").write_text(
        "def make(config, steps, device):\n    raise ValueError('no schedule')\n"
    )
    out = tmp_path / "out"
    process = subprocess.run(
        command(*run.settings(f"out={out}", "sampler.name=sick_sampler")),
        cwd=run.folder,
        env={**environment(), "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        text=True,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert process.returncode == 2
    assert "caption pairs all failed with one error" in process.stderr
    assert "no schedule" in process.stderr
    assert not (out / "README.md").exists()
