"""Rules of docs/architecture.md that a reader relies on: imports, names, and tests that mirror the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import grimp
import networkx
import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipeline", "stages", "p2p", "filters", "miniworld", "conf")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
BENCHMARKS = sorted((ROOT / "benchmarks").rglob("*.py"))
CROSS_CUTTING = {
    "benchmarks/test_main.py",
    "miniworld/test_weights.py",
    "p2p/test_compile.py",
    "p2p/test_edits.py",
    "p2p/test_oracle.py",
    "pipeline/cli/test_any_settings.py",
    "pipeline/cli/test_bad_inputs.py",
    "pipeline/cli/test_occupied_targets.py",
    "pipeline/execution/test_adaptive_run.py",
    "pipeline/execution/test_any_path.py",
    "pipeline/execution/test_demo.py",
    "pipeline/execution/test_determinism.py",
    "pipeline/execution/test_early_run.py",
    "pipeline/execution/test_image_run.py",
    "pipeline/execution/test_pair_options.py",
    "pipeline/execution/test_poison.py",
    "pipeline/execution/test_real_photographs.py",
    "pipeline/execution/test_s3.py",
    "pipeline/execution/test_safe_filter.py",
    "pipeline/execution/test_two_step_hours.py",
    "pipeline/export/test_push.py",
    "pipeline/export/test_training.py",
    "pipeline/pairs/test_language_model.py",
    "pipeline/pairs/test_served.py",
    "pipeline/planning/test_concurrent_drivers.py",
    "pipeline/planning/test_extend.py",
    "pipeline/planning/test_image_input.py",
    "pipeline/report/test_browser.py",
    "pipeline/test_way_of_a_pair.py",
    "stages/storage/test_flaky_store.py",
    "stages/storage/test_store_s3.py",
    "stages/writers/test_refused.py",
    "stages/writers/test_served.py",
}
"""Tests of several modules together: whole runs, oracles, servers, browsers."""
WITHOUT_CODE = {"p2p/errors.py", "stages/errors.py"}
"""Modules without a test of their own: classes of errors with a docstring alone."""
PER_FOLDER = 16
NAME_LENGTH = 60


def test_imports_run_down_the_lists_in_pyproject():
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_no_modules_import_each_other_in_a_circle():
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    imports = networkx.DiGraph(
        (importer, imported)
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
    )
    circles = [sorted(group) for group in networkx.strongly_connected_components(imports) if len(group) > 1]
    assert circles == []


def test_a_folder_holds_a_handful_of_modules():
    counts = Counter(path.parent for path in MODULES if path.name != "__init__.py")
    assert {folder.name: count for folder, count in counts.items() if count > PER_FOLDER} == {}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_does_first(path: Path):
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert docstring
    assert not re.match(r"(What|Whether|Which|Where|How|Who|From|Of|That)\b", docstring)


def test_every_test_has_a_short_name():
    names = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in TESTS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and len(node.name) > NAME_LENGTH
    ]
    assert names == []


def test_the_table_of_files_names_files_that_exist():
    page = (ROOT / "docs" / "architecture.md").read_text().partition("## Rules")[0]
    names = [
        name for name in re.findall(r"`(\w+/[\w/]+\.\w+)`", page) if not re.search("NAME|KIND|GROUP", name)
    ]
    assert [name for name in names if not (ROOT / name).exists()] == []
    assert len(names) >= 40


def test_tests_mirror_the_modules():
    """Every file of tests is named after a module, or is one of those that cut across modules."""
    modules = {path.relative_to(ROOT).with_name(f"test_{path.name}") for path in (*MODULES, *BENCHMARKS)}
    folders = {*PACKAGES, "benchmarks"}
    names = {path.relative_to(ROOT / "tests") for path in TESTS}
    unmatched = {str(name) for name in names - modules if name.parts[0] in folders}
    assert unmatched == CROSS_CUTTING


def test_every_module_has_a_test_of_its_name():
    names = {path.relative_to(ROOT / "tests") for path in TESTS}
    modules = (path.relative_to(ROOT) for path in (*MODULES, *BENCHMARKS) if not path.name.startswith("__"))
    untested = {str(path) for path in modules if path.with_name(f"test_{path.name}") not in names}
    assert untested == WITHOUT_CODE
