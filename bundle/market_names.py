"""File names of Market-1501, `PPPP_cCsS_FFFFFF_BB.jpg`, with person and camera."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PATTERN = re.compile(r"^(?P<person>-1|\d{1,32})_c(?P<camera>\d{1,9})(?:s\d+)?_")
JUNK = "-1"
DISTRACTOR = "0000"
NOBODY = (JUNK, DISTRACTOR)
"""Labels that name no person, wherever they occur."""


@dataclass(frozen=True)
class MarketName:
    """Person and camera of a Market-1501 file name.

    `label` is the person as written; `person_id` is None for junk (-1: a bad box, ignored by the evaluation) and
    for distractors (0000: somebody outside the data set), since neither names a person.
    """

    label: str
    camera_id: str

    @property
    def person_id(self) -> str | None:
        """The person; None for junk and distractors."""
        return None if self.junk or self.distractor else self.label

    @property
    def junk(self) -> bool:
        """True for a bad box, which does not count in a ranking."""
        return self.label == JUNK

    @property
    def distractor(self) -> bool:
        """True for a good box of nobody, which is a wrong match for every query."""
        return self.label == DISTRACTOR


def parse_market_name(name: str) -> MarketName | None:
    """Return person and camera of a file name; None for another scheme.

    "0002_c1s1_000451_03.jpg" gives person "0002" and camera "c1". The frame number is not a time and is ignored.
    """
    match = _PATTERN.match(name)
    return MarketName(match["person"], f"c{int(match['camera'])}") if match else None
