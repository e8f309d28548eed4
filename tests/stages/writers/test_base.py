from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st

from stages.errors import StageError
from stages.writers.base import Answer, WriterError, to_answer


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_an_answer_has_either_an_edit_or_a_reason_with_its_text(text: str, instruction: str, edited: str):
    assert to_answer(text, (instruction, edited)) == Answer(instruction, edited, reason="", text="")
    assert to_answer(text, "no_stop") == Answer("", "", reason="no_stop", text=text)


def test_an_error_passes_between_processes():
    error = pickle.loads(pickle.dumps(WriterError("writer.model=x: there is no such folder")))
    assert isinstance(error, StageError)
    assert str(error) == "writer.model=x: there is no such folder"
