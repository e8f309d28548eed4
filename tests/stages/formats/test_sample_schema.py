from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.candidates.selection import sample_metadata
from stages.formats import sample_schema
from tests import runs
from tests.stages.unit_parts import candidate

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()), st.just({})
)


@pytest.fixture(scope="module")
def about() -> dict[str, object]:
    """A sample's JSON, by its real maker, with a measure."""
    made = replace(candidate(runs.PAIRS[4], 0, ""), measures={"ssim": 0.5})
    config = runs.config(Path("/m"), Path("/c"))
    read = json.loads(json.dumps(sample_metadata(runs.PAIRS[4], made, config, "f")))
    assert list(sample_schema.find_problems(read, ["ssim"])) == []
    return dict(read)


def test_the_schema_is_what_is_made(about: dict[str, object]):
    made = {name: type(value) for name, value in about.items()}
    assert made == {**sample_schema.FIELDS, "ssim": float}


@given(st.data())
def test_any_field_that_is_lost_or_of_another_type_is_named(about: dict[str, object], data: st.DataObject):
    name = data.draw(st.sampled_from(sorted(about)))
    kind = type(about[name])
    lost = {other: value for other, value in about.items() if other != name}
    assert list(sample_schema.find_problems(lost, ["ssim"])) == [f"{name} is missing"]
    value = data.draw(VALUES.filter(lambda value: type(value) is not kind))
    assert list(sample_schema.find_problems({**about, name: value}, ["ssim"])) == [
        f"{name} is {value!r}, not {kind.__name__}"
    ]


def test_options_are_fields_of_the_samples_of_runs_that_set_them(about: dict[str, object]):
    options = (
        "edit=prompt_to_prompt",
        "edit.start=0.1",
        "edit.self_tau=0.4",
        "sampler.negative_prompt=ugly",
        "sampler.spacing=leading",
        "model.max_sequence_length=99",
    )
    config = runs.config(Path("/m"), Path("/c"), *options)
    made = sample_metadata(runs.PAIRS[4], candidate(runs.PAIRS[4], 0, ""), config, "f")
    added = {name: type(made[name]) for name in made.keys() - about.keys()}
    assert added == sample_schema.OPTIONAL_FIELDS
    assert not about.keys() & added.keys()
    assert list(sample_schema.find_problems(made)) == []
    (problem,) = sample_schema.find_problems({**made, "spacing": 0.5})
    assert problem.startswith("spacing is 0.5, ")


def test_an_unknown_field_is_named_unless_it_is_a_measure(about: dict[str, object]):
    assert list(sample_schema.find_problems(about)) == []
    (problem,) = sample_schema.find_problems({**about, "strange": "text"}, ["ssim"])
    assert problem.startswith("strange ")
    (problem,) = sample_schema.find_problems([about], ["ssim"])
    assert "no object" in problem
