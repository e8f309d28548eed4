from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.errors import FilterError
from filters.measures.changed_area import ChangedArea


@given(rows=st.integers(0, 20), channel=st.integers(0, 2), fall=st.booleans())
def test_the_score_is_the_share_of_changed_pixels(rows: int, channel: int, fall: bool) -> None:
    before = np.full((20, 10, 3), 200 if fall else 20, np.uint8)
    after = before.copy()
    after[:rows, :, channel] = 20 if fall else 200
    assert ChangedArea().score([before], [after])[0] == pytest.approx(rows / 20)


def test_noise_within_the_tolerance_is_no_change() -> None:
    before = np.full((8, 8, 3), 100, np.uint8)
    after = before + 25
    assert ChangedArea(0.1).score([before], [after])[0] == 0
    assert ChangedArea(0.05).score([before], [after])[0] == 1


def test_a_tolerance_outside_its_range_is_an_error() -> None:
    with pytest.raises(FilterError, match="tolerance is 1"):
        ChangedArea(1.0)
