"""A real headless Chromium: playwright's own, or the one that CHROMIUM or the PATH names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Skips the test, saying what to install, where there is no Chromium."""
    with sync_playwright() as playwright:
        named = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
        if named is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("no Chromium: install the system's chromium, or run playwright install chromium")
        # Chromium's own sandbox does not start as root, as in most containers.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=named, args=arguments)
        yield browser
        browser.close()
