"""Cells of CSV tables: no formulas, and the same texts again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitreid.bundle.cells import FORMULA, cell_of, text_of


@pytest.mark.slow
@given(st.text(st.sampled_from([*FORMULA, "'", "a", " "]), max_size=5) | st.text())
def test_a_text_is_no_formula_and_comes_back(text: str) -> None:
    assert not cell_of(text).startswith(FORMULA)
    assert text_of(cell_of(text)) == text


def test_what_people_write_stays() -> None:
    for text in ("", "gate 4", "'tis", "c1", "5-3", "'"):
        assert cell_of(text) == text_of(text) == text
