from __future__ import annotations

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

import filters
import p2p
from stages import captions
from tests.docs.snippets import ROOT


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of ``make api``, in another folder."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-W", "ignore", "docs/api.py", folder]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(folder)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def words(text: str) -> str:
    """The words without punctuation: the pages have typographic quotation marks."""
    return " ".join(re.findall(r"\w+", text))


@pytest.mark.long
@pytest.mark.parametrize("module", [p2p, filters, captions], ids=lambda module: module.__name__)
def test_every_public_name_has_its_docstring_on_a_page(pages: Path, module):
    page = (pages / (module.__name__.replace(".", "/") + ".html")).read_text()
    shown = words(unescape(re.sub(r"<[^>]+>", "", page)))
    for name in module.__all__:
        assert f'id="{name}"' in page
        if not isinstance(getattr(module, name), tuple):
            first = words((getattr(module, name).__doc__ or "").strip().splitlines()[0])
            assert first, name
            assert first in shown, name
