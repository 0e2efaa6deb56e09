"""Bags, and their straps across the trunk."""

from collections.abc import Callable
from functools import partial

from vitreid.synthetic.canvas import Canvas, Mark
from vitreid.synthetic.colours import shade
from vitreid.synthetic.patterns import around, sling, strap
from vitreid.synthetic.people import Bag
from vitreid.synthetic.rig import Layer, Rig, Section


def bag_layers(rig: Rig) -> list[Layer]:
    """Return the layer of a person's bag, if any."""
    bag = rig.person.outfit.bag
    return [] if bag is None else [BAGS[bag.kind](rig, bag)]


def strap_marks(bag: Bag | None) -> list[Mark]:
    """Return the marks of a bag on the clothes of the trunk."""
    if bag is None or bag.kind == "hand":
        return []
    colour = shade(bag.colour, 0.8)
    if bag.kind == "shoulder":
        return [(partial(sling, side=bag.side), colour)]
    return [(partial(strap, at=0.62), colour), (partial(strap, at=-0.62), colour)]


def backpack(rig: Rig, bag: Bag) -> Layer:
    """Return the layer of a backpack with a front pocket."""
    wide, low = 0.078 * rig.person.body.width, 0.57
    sections = (
        Section(0.835, 0.6 * wide, 0.03, z=-0.105),
        Section(0.81, 0.92 * wide, 0.05, z=-0.112),
        Section(0.7, wide, 0.062, z=-0.12),
        Section(low + 0.02, wide, 0.062, z=-0.12),
        Section(low, 0.9 * wide, 0.055, z=-0.12),
    )
    pocket: Mark = (around(low=0.6, high=0.69), shade(bag.colour, 0.82))
    zipper: Mark = (around(low=0.745, high=0.757), shade(bag.colour, 0.6))

    def paint(canvas: Canvas) -> None:
        canvas.barrel(rig.rings(sections), bag.colour, (pocket, zipper), yaw=rig.view.yaw, sag=rig.px(0.012)[0])

    return Layer(rig.near(0, -0.12), paint)


def shoulder_bag(rig: Rig, bag: Bag) -> Layer:
    """Return the layer of a bag at the hip, with a flap."""
    x = bag.side * (0.115 * rig.person.body.width + 0.012)
    sections = (
        Section(0.545, 0.026, 0.062, x=x, z=0.01),
        Section(0.53, 0.03, 0.07, x=x, z=0.01),
        Section(0.435, 0.032, 0.072, x=x, z=0.01),
        Section(0.425, 0.026, 0.064, x=x, z=0.01),
    )
    flap: list[Mark] = [(around(low=0.485, high=0.6), shade(bag.colour, 0.8))]

    def paint(canvas: Canvas) -> None:
        canvas.barrel(rig.rings(sections), bag.colour, flap, yaw=rig.view.yaw, sag=rig.px(0.006)[0])

    return Layer(rig.near(x, 0.01) + 0.03, paint)


def hand_bag(rig: Rig, bag: Bag) -> Layer:
    """Return the layer of a handbag."""
    arm = next(limb for limb in rig.bones.arms if limb.side == bag.side)
    x, y, z = (float(value) for value in arm.joints[2])
    y -= 0.03
    sections = (
        Section(y - 0.055, 0.028, 0.062, x=x, z=z),
        Section(y - 0.075, 0.034, 0.072, x=x, z=z),
        Section(y - 0.16, 0.036, 0.08, x=x, z=z),
        Section(y - 0.17, 0.032, 0.074, x=x, z=z),
    )

    def paint(canvas: Canvas) -> None:
        for end in (-0.04, 0.04):
            canvas.tube([rig.at(x, y, z), rig.at(x, y - 0.06, z + end)], rig.px(0.006, 0.006), shade(bag.colour, 0.7))
        band: list[Mark] = [(around(low=y - 0.13, high=y - 0.1), shade(bag.colour, 1.45))]
        canvas.barrel(rig.rings(sections), bag.colour, band, yaw=rig.view.yaw, sag=rig.px(0.006)[0])

    return Layer(rig.near(x, z) + 0.025, paint)


BAGS: dict[str, Callable[[Rig, Bag], Layer]] = {"backpack": backpack, "shoulder": shoulder_bag, "hand": hand_bag}
