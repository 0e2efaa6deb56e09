"""Escaped CSV cells are no formulas, and unescaping restores the text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitreid.bundle.cells import FORMULA, escape_cell, unescape_cell


@pytest.mark.slow
@given(st.text(st.sampled_from([*FORMULA, "'", "a", " "]), max_size=5) | st.text())
def test_a_text_is_no_formula_and_comes_back(text: str) -> None:
    assert not escape_cell(text).startswith(FORMULA)
    assert unescape_cell(escape_cell(text)) == text


def test_ordinary_texts_are_unchanged() -> None:
    for text in ("", "gate 4", "'tis", "c1", "5-3", "'"):
        assert escape_cell(text) == unescape_cell(text) == text
