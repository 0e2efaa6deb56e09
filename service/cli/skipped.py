"""Images and files that `vitreid index` and `vitreid embed` could not use or passed over."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitreid.service.intake.folders import SkippedEntry
    from vitreid.service.intake.outcomes import InvalidBox, NotEmbedded, QualityRejected, SkippedFile

    Bad = SkippedFile | InvalidBox | NotEmbedded

SHOWN = 10
"""Number of warnings and of ignored files that are printed; JSON has all."""


def reasons(skipped: Iterable[Bad | QualityRejected | SkippedEntry]) -> list[dict[str, str]]:
    """Return path and reason of each, for JSON."""
    return [{"path": each.path, "reason": each.reason} for each in skipped]


def print_bad(bad: Sequence[Bad]) -> None:
    """Print all unusable images on stderr."""
    if bad:
        print(f"{sum(each.items for each in bad):,} unusable:", file=sys.stderr)
    for each in bad:
        print(f"  {each.path}: {each.reason}", file=sys.stderr)


def print_ignored(ignored: Sequence[SkippedEntry]) -> None:
    """Print how many files were ignored, by kind, and the first of them on stderr."""
    from vitreid.service.intake.folders import counted

    if ignored:
        print(f"{len(ignored):,} ignored ({counted(ignored)}):", file=sys.stderr)
        print_some([f"  {each.path}: {each.reason}" for each in ignored], "  and {left:,} more; --json lists all")


def print_some(lines: Sequence[str], rest: str) -> None:
    """Print the first lines on stderr, and `rest` with the number `left` of the others."""
    shown = [*lines[:SHOWN], *([rest.format(left=len(lines) - SHOWN)] if len(lines) > SHOWN else [])]
    sys.stderr.writelines(f"{line}\n" for line in shown)
