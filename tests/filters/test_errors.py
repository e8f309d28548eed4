from __future__ import annotations

import pytest

from filters.errors import FilterError, library_errors


def test_a_library_s_error_becomes_one_line() -> None:
    with pytest.raises(FilterError) as raised, library_errors("the model cannot be loaded"):
        raise RuntimeError("size mismatch\n  for weight")
    message = str(raised.value)
    assert message.startswith("the model cannot be loaded: size mismatch")
    assert "\n" not in message
    assert isinstance(raised.value.__cause__, RuntimeError)


def test_an_error_of_this_package_stays_as_it_is() -> None:
    error = FilterError("no such label")
    with pytest.raises(FilterError) as raised, library_errors("the model cannot be loaded"):
        raise error
    assert raised.value is error


def test_an_interrupt_is_not_an_error_of_a_library() -> None:
    with pytest.raises(KeyboardInterrupt), library_errors("the model cannot be loaded"):
        raise KeyboardInterrupt
