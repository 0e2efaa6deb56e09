from math import pi

import numpy as np
import pytest

from vitreid.synthetic import Person, Pose, View
from vitreid.synthetic.skeleton import skeleton

BODY = Person.sample(1, 1).body


def test_bones_keep_their_lengths_in_every_pose() -> None:
    for phase in np.linspace(0, 2 * pi, 9):
        bones = skeleton(BODY, Pose(float(phase), 0.4, (0.3, 1.8)))
        for limb in (*bones.legs, *bones.arms):
            joints, still = (
                limb.joints,
                next(
                    other
                    for other in (*skeleton(BODY, Pose(0, 0, (0, 0))).legs, *skeleton(BODY, Pose(0, 0, (0, 0))).arms)
                    if np.allclose(other.joints[0], limb.joints[0])
                ).joints,
            )
            for k in (0, 1):
                length = np.linalg.norm(joints[k + 1] - joints[k])
                assert length == pytest.approx(np.linalg.norm(still[k + 1] - still[k]))


def test_legs_move_against_each_other_and_arms_against_legs() -> None:
    bones = skeleton(BODY, Pose(pi / 2, 0.4, (0.1, 0.1)))
    left, right = (limb.joints[1][2] for limb in bones.legs)
    assert left > 0 > right
    left_arm, right_arm = (limb.joints[1][2] for limb in bones.arms)
    assert left_arm < 0 < right_arm


def test_standing_feet_are_on_the_ground() -> None:
    assert skeleton(BODY, Pose(0, 0, (0, 0))).lowest == pytest.approx(0, abs=0.01)


def test_views_turn_the_person() -> None:
    left_hand, ahead = np.array([0.2, 0.5, 0.0]), np.array([0.0, 0.5, 0.2])
    front, right, back = (View(yaw, 0, 100, 50, 100) for yaw in (0, pi / 2, pi))
    assert front.project(left_hand) == pytest.approx((70, 50))
    assert back.project(left_hand) == pytest.approx((30, 50))
    assert right.project(ahead) == pytest.approx((70, 50))
    assert front.depth(ahead) == pytest.approx(0.2)
    assert back.depth(ahead) == pytest.approx(-0.2)


def test_looking_down_puts_what_is_nearer_lower() -> None:
    view = View(0, 0.2, 100, 50, 100)
    assert view.project(np.array([0, 0, 0.1]))[1] > view.project(np.array([0, 0, -0.1]))[1]
