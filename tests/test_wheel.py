"""What ``pip install .`` gives: from the wheel alone, in another folder, in an environment without the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipeline", "stages", "p2p", "filters", "miniworld", "conf")


def call(*command: str | Path, cwd: Path) -> str:
    # The packages of the sources must not take the place of those of the wheel.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: building leaves its own folders beside the sources."""
    source = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    built = tmp_path_factory.mktemp("dist")
    build = ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", built, source)
    call(sys.executable, "-m", "pip", *build, cwd=built)
    (found,) = built.glob("pairforge-*.whl")
    return found


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of an environment with the wheel, and with the dependencies that are installed here already."""
    folder = tmp_path_factory.mktemp("environment")
    call(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    python = folder / "bin" / "python"
    libraries = call(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder
    ).strip()
    # A path file adds the folder, not the path files in it: an editable checkout among them stays out.
    Path(libraries, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = ("install", "--no-deps", "--no-index", wheel)
    call(sys.executable, "-m", "pip", "--python", python, *install, cwd=folder)
    return folder / "bin"


@pytest.mark.long
def test_the_wheel_holds_every_file_of_the_packages_and_no_other(wheel: Path):
    there = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == there


@pytest.mark.long
def test_pairforge_runs_from_the_wheel_in_any_folder(environment: Path, tmp_path: Path):
    where = call(environment / "python", "-c", "import pipeline; print(pipeline.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(environment.parent)
    assert "pairforge status OUT" in call(environment / "pairforge", "--help", cwd=tmp_path)
    demo = (
        "limit=2",
        "sampler.steps=6",
        "sweep.seeds=2",
        "filter.clip_sim_dir=-1",
        "filter.clip_sim_image=-1",
    )
    call(environment / "pairforge", *demo, cwd=tmp_path)
    assert (tmp_path / "out" / "report" / "index.html").stat().st_size > 10_000
    assert "is whole: " in call(environment / "pairforge", "verify", "out", cwd=tmp_path)
    told = call(environment / "pairforge", "export", "out", "to=set", cwd=tmp_path)
    assert "(train " in told
