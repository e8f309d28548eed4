from __future__ import annotations

import subprocess
import sys
from enum import Enum

from conf.pairs import PairsConfig
from conf.setting_keys import GROUPS, default_of, is_group, known_keys, options, setting_types


def test_defaults_are_read_from_the_configuration_itself():
    assert (default_of("captions"), default_of("shards"), default_of("experiment")) == (
        "miniworld",
        "png",
        None,
    )
    for group in GROUPS[:-1]:
        assert default_of(group) in options(group)
    assert default_of("writer") in options("writer")


def test_every_key_has_its_type():
    types = setting_types()
    assert sorted(types) == list(known_keys())
    assert types["limit"] == int | None
    assert types["strict"] is bool
    assert issubclass(types["edit.method"], Enum)
    assert {"sweep.seeds", "sweep.tau_min", "sweep.prior", "experiment"} <= set(types)
    assert "writer.model" in known_keys(PairsConfig)
    assert "writer.model" not in types


def test_groups_are_told_from_other_keys():
    assert all(is_group(group) for group in (*GROUPS, "writer"))
    assert not is_group("sheet")


def test_keys_are_listed_without_hydra():
    script = "import sys, conf.setting_keys; print('hydra' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
