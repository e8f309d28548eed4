from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from pipeline.report.template import template


@pytest.mark.parametrize("name", ["report.html", "pairs.html"])
def test_a_missing_value_is_an_error(name: str):
    with pytest.raises(UndefinedError):
        template(name).render(title="a")


def test_values_are_escaped_and_the_style_sheet_is_not():
    page = template("base.html").render(title="<b>&")
    assert "&lt;b&gt;&amp;" in page
    assert "fieldset input:checked + span" in page, "the sheet's > and + stand as they are"
    assert "<b>" not in page
