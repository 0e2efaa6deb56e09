"""The rig of a figure: person, joints and view, and the layers of its parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vitreid.synthetic.canvas import Canvas, Ring
from vitreid.synthetic.people import Person
from vitreid.synthetic.skeleton import Point, Skeleton, View


@dataclass(frozen=True)
class Layer:
    """A part to draw and its depth: nearness to the camera in body heights."""

    depth: float
    paint: Callable[[Canvas], None]


@dataclass(frozen=True)
class Section:
    """A cross-section of the body: height, half width and half depth of an ellipse, and its centre (x, z)."""

    height: float
    width: float
    depth: float
    x: float = 0.0
    z: float = 0.0


@dataclass(frozen=True)
class Rig:
    """A posed person, seen by a camera."""

    person: Person
    bones: Skeleton
    view: View

    def at(self, x: float, y: float, z: float) -> tuple[float, float]:
        """Return the pixel position of a point of the body."""
        return self.view.project(np.array([x, y, z]))

    def near(self, x: float, z: float) -> float:
        """Return the nearness of a point of the body to the camera."""
        return self.view.depth(np.array([x, 0.0, z]))

    def along(self, points: Sequence[Point]) -> list[tuple[float, float]]:
        """Return the pixel positions of joints."""
        return [self.view.project(point) for point in points]

    def px(self, *lengths: float) -> list[float]:
        """Return lengths in pixels."""
        return [length * self.view.scale for length in lengths]

    def rings(self, sections: Sequence[Section]) -> list[Ring]:
        """Return sections, from top to bottom, as rings on the image."""
        return [
            Ring(*self.at(s.x, s.height, s.z), half=self.view.breadth(s.width, s.depth), height=s.height)
            for s in sections
        ]


def cut(joints: Sequence[Point], start: float, end: float) -> list[Point]:
    """Return the part of a limb between two shares (0..1) of its length, with the joints in between."""
    lengths = [float(np.linalg.norm(b - a)) for a, b in pairwise(joints)]
    marks = np.concatenate([[0.0], np.cumsum(lengths)]) / sum(lengths)
    axes = np.array(joints).T
    shares = [start, *(m for m in marks if start + 1e-3 < m < end - 1e-3), end]
    return [np.array([np.interp(share, marks, axis) for axis in axes]) for share in shares]
