"""The scores of several models as a table for a paper or a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from vitreid.training.evaluation.report import text

MEASURES = {"mAP": "mAP", "rank1": "rank-1", "rank5": "rank-5", "rank10": "rank-10", "mINP": "mINP"}
SPECIAL = str.maketrans({character: f"\\{character}" for character in "&%$#_{}"} | {"\\": r"\textbackslash{}"})

Scores = Sequence[tuple[str, Mapping[str, Any]]]
"""Models by name, each with the scores of its report."""


def as_values(scores: Scores) -> Any:
    """A model's report as it is; of several a list, each with its `model`."""
    return dict(scores[0][1]) if len(scores) == 1 else [{"model": name, **told} for name, told in scores]


def as_lines(scores: Scores) -> Iterator[str]:
    """The reports as text, each of several below its model."""
    for name, told in scores:
        yield from [name] * (len(scores) > 1)
        yield from text(dict(told))


def markdown(scores: Scores) -> str:
    """In percent."""
    rows = [f"| {' | '.join([name.replace('|', chr(92) + '|'), *_percent(told)])} |" for name, told in scores]
    return "\n".join([f"| model | {' | '.join(MEASURES.values())} |", "|---" * (len(MEASURES) + 1) + "|", *rows])


def latex(scores: Scores) -> str:
    """A tabular, in percent."""
    rows = [f"{' & '.join([name.translate(SPECIAL), *_percent(told)])} \\\\" for name, told in scores]
    head = f"model & {' & '.join(MEASURES.values())} \\\\"
    begin = f"\\begin{{tabular}}{{l{'r' * len(MEASURES)}}}"
    return "\n".join([begin, r"\hline", head, r"\hline", *rows, r"\hline", r"\end{tabular}"])


def comma_separated(scores: Scores) -> str:
    """0 to 1, with all digits and the numbers of images."""
    counts = ("queries", "skipped", "gallery")
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["model", *MEASURES, *counts])
    writer.writerows([name, *(told[key] for key in (*MEASURES, *counts))] for name, told in scores)
    return file.getvalue().rstrip("\n")


def _percent(told: Mapping[str, Any]) -> list[str]:
    return [f"{100 * told[key]:.1f}" for key in MEASURES]


TABLES: dict[str, Callable[[Scores], str]] = {"md": markdown, "latex": latex, "csv": comma_separated}
"""By name: how several models' scores become one text."""
