"""Joints of a walking person, and their projection into a camera.

Lengths are shares of the body height. The person's axes: x to the person's left, y up from the ground,
z forward. A view turns the person by `yaw` about y (0 = facing the camera, pi/2 = walking to the right of the
image, pi = seen from behind) and looks down by `pitch`; the projection is parallel.
"""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from vitreid.synthetic.people import Body

Point = np.ndarray[tuple[int], np.dtype[np.float64]]

VIEWS: dict[str, float] = {"front": 0.0, "left": -pi / 2, "right": pi / 2, "back": pi}
"""Yaw of the named views; left and right are the direction of walking in the image."""

SHOULDER, ANKLE = 0.787, 0.045


@dataclass(frozen=True)
class Pose:
    """A pose in a step: `phase` in radians, `stride` = swing of the legs, `bend` = elbows, (left, right)."""

    phase: float
    stride: float
    bend: tuple[float, float]

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Pose":
        """Sample a pose: mostly walking, sometimes standing, rarely with a lifted hand."""
        stride = float(rng.uniform(0.24, 0.42)) if rng.random() < 0.8 else float(rng.uniform(0.02, 0.1))
        lifted = rng.random(2) < 0.08
        left, right = np.where(lifted, rng.uniform(1.4, 2.1, 2), rng.uniform(0.1, 0.55, 2)).tolist()
        return cls(float(rng.uniform(0, 2 * pi)), stride, (left, right))


@dataclass(frozen=True)
class Limb:
    """Three joints from the trunk outwards: (hip, knee, ankle) or (shoulder, elbow, wrist); `side` +1 is left."""

    side: int
    joints: tuple[Point, Point, Point]


@dataclass(frozen=True)
class Skeleton:
    """The limbs of a person in a pose, and the height of the hips."""

    hip: float
    legs: tuple[Limb, Limb]
    arms: tuple[Limb, Limb]

    @property
    def lowest(self) -> float:
        """Height of the lower ankle above its height when standing; the hips sink by it in a step."""
        return float(min(limb.joints[2][1] for limb in self.legs)) - ANKLE


def swing(joint: Point, angle: float, length: float, out: float = 0.0) -> Point:
    """Return the end of a bone that hangs from `joint`, swung forward by `angle` and outwards (along x) by `out`."""
    return joint + length * np.array([sin(out), -cos(angle) * cos(out), sin(angle) * cos(out)])


def leg(body: Body, hip: float, pose: Pose, side: int) -> Limb:
    """Return a leg; the knee bends while the leg swings forward."""
    phase = pose.phase + (0 if side > 0 else pi)
    thigh = pose.stride * sin(phase)
    knee_bend = 0.06 + 1.5 * pose.stride * max(0.0, cos(phase + 0.3))
    length = hip - ANKLE
    start = np.array([side * 0.047 * body.width, hip, 0.0])
    knee = swing(start, thigh + 0.03, 0.51 * length)
    return Limb(side, (start, knee, swing(knee, thigh - knee_bend, 0.49 * length)))


def arm(body: Body, pose: Pose, side: int) -> Limb:
    """Return an arm, which swings against the leg of its side."""
    phase = pose.phase + (pi if side > 0 else 0)
    upper = 0.85 * pose.stride * sin(phase)
    start = np.array([side * 0.099 * body.width, SHOULDER, 0.0])
    elbow = swing(start, upper, 0.165, side * 0.15 * body.width)
    bend = pose.bend[0 if side > 0 else 1]
    return Limb(side, (start, elbow, swing(elbow, upper + bend, 0.15, side * 0.02)))


def skeleton(body: Body, pose: Pose) -> Skeleton:
    """Return the joints of a body in a pose."""
    hip = 0.495 * body.legs
    legs = (leg(body, hip, pose, 1), leg(body, hip, pose, -1))
    return Skeleton(hip, legs, (arm(body, pose, 1), arm(body, pose, -1)))


@dataclass(frozen=True)
class View:
    """The view of a person: its direction, and its position in the image.

    scale: pixels per body height; x, ground: pixel position of the point between the feet.
    """

    yaw: float
    pitch: float
    scale: float
    x: float
    ground: float

    def depth(self, point: Point) -> float:
        """Return the nearness of a point to the camera."""
        return float(-point[0] * sin(self.yaw) + point[2] * cos(self.yaw))

    def project(self, point: Point) -> tuple[float, float]:
        """Return the pixel position (x, y) of a point; y grows downwards."""
        across = point[0] * cos(self.yaw) + point[2] * sin(self.yaw)
        up = point[1] - self.pitch * self.depth(point)
        return self.x + self.scale * float(across), self.ground - self.scale * float(up)

    def breadth(self, half_width: float, half_depth: float) -> float:
        """Return half of the width in pixels of an upright elliptic cylinder."""
        return self.scale * float(np.hypot(half_width * cos(self.yaw), half_depth * sin(self.yaw)))
