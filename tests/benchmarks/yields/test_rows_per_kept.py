from __future__ import annotations

import pytest

from benchmarks.yields.rows_per_kept import SWEEPS, TABLES, shipped_pairs
from pipeline.config.resolve import checked, compose


@pytest.mark.parametrize("name", SWEEPS)
def test_every_sweep_is_a_valid_configuration(name: str):
    config = checked(compose(SWEEPS[name]))
    assert config.filter.max_per_pair == 4


def test_each_table_begins_with_the_published_procedure():
    assert {names[0] for names in TABLES} == {"instructpix2pix", "instructpix2pix-100"}
    assert {name for names in TABLES for name in names} == {*SWEEPS}


def test_published_procedures_differ_in_steps_alone():
    difference = set(SWEEPS["instructpix2pix"]) ^ set(SWEEPS["instructpix2pix-100"])
    assert difference == {"sampler.steps=12", "sampler.steps=100"}
    assert len({pair.id for pair, _ in shipped_pairs(200)}) == 200
