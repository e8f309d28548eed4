from __future__ import annotations

from pathlib import Path

from omegaconf import OmegaConf

from conf.reference import text
from conf.setting_keys import GROUPS, options
from pipeline.config import resolve

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_document_is_up_to_date():
    assert DOCUMENT.read_text() == text(), "docs/configuration.md is behind conf/: make docs"


def test_every_key_of_a_run_is_listed():
    told = text()
    for sweep in ("grid", "random"):
        config = resolve.compose([f"sweep={sweep}"])
        for key in leaves(OmegaConf.to_container(config)):
            assert f"\n| `{key}` |" in told


def test_every_option_is_listed():
    told = text()
    for group in GROUPS:
        for name, about in options(group).items():
            assert f"| `{group}={name}` | {about} |" in told


def leaves(node: dict, prefix: str = "") -> list[str]:
    return [
        leaf
        for name, value in node.items()
        for leaf in (leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else [prefix + name])
    ]
