"""File names of Market-1501: `PPPP_cCsS_FFFFFF_BB.jpg` says who stands before which camera."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PATTERN = re.compile(r"^(?P<person>-1|\d{1,32})_c(?P<camera>\d{1,9})(?:s\d+)?_")
JUNK = "-1"
DISTRACTOR = "0000"
NOBODY = (JUNK, DISTRACTOR)
"""Labels that name no person, wherever they stand."""


@dataclass(frozen=True)
class MarketName:
    """What a Market-1501 file name says.

    `label` is the person as written; `person_id` is None for junk (-1: a bad box, ignored by the evaluation) and
    for distractors (0000: somebody outside of the data set), since neither names a person.
    """

    label: str
    camera_id: str

    @property
    def person_id(self) -> str | None:
        """The person, or None where the name stands for nobody."""
        return None if self.junk or self.distractor else self.label

    @property
    def junk(self) -> bool:
        """A bad box: it neither helps nor harms a ranking."""
        return self.label == JUNK

    @property
    def distractor(self) -> bool:
        """A good box of nobody: a wrong answer to every query."""
        return self.label == DISTRACTOR


def parse_market_name(name: str) -> MarketName | None:
    """Read person and camera from a file name, or None where it follows another scheme.

    "0002_c1s1_000451_03.jpg" gives person "0002" and camera "c1". The frame number is not a time and is left out.
    """
    match = _PATTERN.match(name)
    return MarketName(match["person"], f"c{int(match['camera'])}") if match else None
