"""Escaping of CSV cells, so that no spreadsheet runs a text as a formula."""

from __future__ import annotations

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a formula in spreadsheets."""
ESCAPED = tuple(f"'{first}" for first in (*FORMULA, "'"))


def escape_cell(text: str) -> str:
    """Return the cell for a text: with a quote in front if it is a formula or begins like an escaped one."""
    return f"'{text}" if text.startswith((*FORMULA, *ESCAPED)) else text


def unescape_cell(cell: str) -> str:
    """Return the text of a cell that `escape_cell` wrote."""
    return cell[1:] if cell.startswith(ESCAPED) else cell
