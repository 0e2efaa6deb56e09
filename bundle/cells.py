"""Texts in the cells of CSV tables: a spreadsheet runs none of them as a formula, and reading gives them back."""

from __future__ import annotations

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""
GUARDED = tuple(f"'{first}" for first in (*FORMULA, "'"))


def cell_of(text: str) -> str:
    """The text as it is written: with a quote before it where it is a formula, or looks as if it had such a quote."""
    return f"'{text}" if text.startswith((*FORMULA, *GUARDED)) else text


def text_of(cell: str) -> str:
    """What was written into a cell."""
    return cell[1:] if cell.startswith(GUARDED) else cell
