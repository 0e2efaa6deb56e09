"""Drawing of a person: its parts as layers, from the farthest to the nearest."""

from dataclasses import replace
from functools import partial

import numpy as np

from vitreid.synthetic.bags import bag_layers, strap_marks
from vitreid.synthetic.canvas import Canvas, Mark
from vitreid.synthetic.colours import shade
from vitreid.synthetic.head import head_layers
from vitreid.synthetic.patterns import PATTERNS, PRINTS, around, lapels, neckline, opening
from vitreid.synthetic.people import Bottom, Coat, Person, Top
from vitreid.synthetic.rig import Layer, Rig, Section, cut
from vitreid.synthetic.skeleton import ANKLE, Limb, Pose, View, skeleton

# depths of clothes in body heights: outer clothes are nearer
LEGS, HIPS, SKIRT, TRUNK, COAT, ARMS = -0.2, -0.1, -0.05, 0.0, 0.003, 0.02

TRUNK_SHAPE = (
    (0.845, 0.042, 0.04), (0.83, 0.075, 0.05), (0.812, 0.094, 0.06), (0.79, 0.106, 0.066), (0.72, 0.103, 0.075),
    (0.6, 0.086, 0.07), (0.5, 0.094, 0.076), (0.3, 0.104, 0.084), (0.0, 0.112, 0.09),
)  # fmt: skip
"""Height, half width and half depth of the clothed trunk; below the hips those of a coat."""


def draw_person(canvas: Canvas, person: Person, pose: Pose, view: View) -> None:
    """Draw a person standing at the view's point."""
    bones = skeleton(person.body, pose)
    canvas.shadow_on_ground(view.x, view.ground, 0.19 * view.scale)
    rig = Rig(person, bones, replace(view, ground=view.ground + view.scale * bones.lowest))
    layers = [*leg_layers(rig), *trunk_layers(rig), *arm_layers(rig), *head_layers(rig), *bag_layers(rig)]
    for layer in sorted(layers, key=lambda layer: layer.depth):
        layer.paint(canvas)


def leg_layers(rig: Rig) -> list[Layer]:
    """Return the layers of both legs with shoes, and of the hips or the skirt over them."""
    bottom = rig.person.outfit.bottom
    layers = [
        Layer(LEGS + 0.3 * rig.view.depth(limb.joints[1]), partial(paint_leg, rig, limb)) for limb in rig.bones.legs
    ]
    over = paint_skirt if bottom.kind == "skirt" else paint_hips
    return [*layers, Layer(SKIRT if bottom.kind == "skirt" else HIPS, partial(over, rig, bottom))]


def paint_leg(rig: Rig, limb: Limb, canvas: Canvas) -> None:
    """Draw a leg: skin, trouser leg, shoe."""
    person, wide = rig.person, rig.person.body.width
    bottom, far = person.outfit.bottom, 0.86 if rig.view.depth(limb.joints[0]) < -0.01 else 1.0
    end = min(1.0, (rig.bones.hip - bottom.hem) / (rig.bones.hip - ANKLE)) if bottom.kind != "skirt" else 0.0
    if end < 0.95:
        radii = rig.px(0.05 * wide, 0.037 * wide, 0.024 * wide)
        canvas.tube(rig.along(limb.joints), radii, shade(person.looks.skin, far))
    paint_shoe(rig, limb, canvas, far)
    if end > 0:
        points = cut(limb.joints, 0, end)
        lower = 0.031 * wide * bottom.flare if bottom.kind == "trousers" else 0.05 * wide
        radii = rig.px(*np.linspace(0.057 * wide, lower, len(points)))
        canvas.tube(rig.along(points), radii, shade(bottom.colour, far), seam(rig, bottom, limb), cuff=True)


def seam(rig: Rig, bottom: Bottom, limb: Limb) -> list[Mark]:
    """Return the light stripe along the outer side of track trousers, if any."""
    if not bottom.striped:
        return []
    outwards = limb.side * np.pi / 2 + rig.view.yaw
    outwards = (outwards + np.pi) % (2 * np.pi) - np.pi
    return [(lambda surface: np.clip(1.4 - np.abs(surface.angle - outwards) * 3.6, 0, 1), (240, 238, 232))]


def paint_shoe(rig: Rig, limb: Limb, canvas: Canvas, far: float) -> None:
    """Draw a shoe with its sole; the heel rises while the leg is behind. Trousers hide the shaft of a boot."""
    knee, ankle = limb.joints[1], limb.joints[2]
    shoes, rise = rig.person.outfit.shoes, min(0.0, float(np.arctan2(ankle[2] - knee[2], knee[1] - ankle[1])) + 0.15)
    turn = np.array([[1, 0, 0], [0, np.cos(rise), np.sin(rise)], [0, -np.sin(rise), np.cos(rise)]])
    heel, toe = (ankle + turn @ np.array([limb.side * x, -0.018, z]) for x, z in ((0.0, -0.018), (0.014, 0.076)))
    drop = turn @ np.array([0, -0.014, 0])
    canvas.tube(rig.along([heel + drop, toe + drop]), rig.px(0.016, 0.013), shade(shoes.sole, far))
    tall = shoes.kind == "boots" and rig.person.outfit.bottom.kind != "trousers"
    top = cut(limb.joints, 0.78 if tall else 0.97, 1)
    canvas.tube(rig.along(top), rig.px(0.034 if tall else 0.026, 0.027), shade(shoes.colour, far))
    canvas.tube(rig.along([heel, toe]), rig.px(0.027, 0.019), shade(shoes.colour, far))


def trunk_sections(rig: Rig, hem: float, ease: float = 1.0, flare: float = 0.0) -> list[Section]:
    """Return the trunk from the neck down to a hem; `ease` widens the whole, `flare` the hem."""
    wide = rig.person.body.width * ease
    heights, widths, depths = (np.array(column)[::-1] for column in zip(*TRUNK_SHAPE, strict=True))
    levels = [height for height, _, _ in TRUNK_SHAPE if height > hem + 0.01] + [hem]
    return [
        Section(
            level,
            float(np.interp(level, heights, widths)) * wide + flare * max(0.0, 0.6 - level),
            float(np.interp(level, heights, depths)) * (0.4 + 0.6 * wide) + flare * max(0.0, 0.6 - level),
        )
        for level in levels
    ]


def paint_hips(rig: Rig, bottom: Bottom, canvas: Canvas) -> None:
    """Draw the upper part of trousers or shorts."""
    wide = rig.person.body.width
    sections = (Section(0.6, 0.08 * wide, 0.064), Section(0.5, 0.096 * wide, 0.074), Section(0.45, 0.09 * wide, 0.07))
    canvas.barrel(rig.rings(sections), bottom.colour, sag=rig.px(0.02)[0])


def paint_skirt(rig: Rig, bottom: Bottom, canvas: Canvas) -> None:
    """Draw a skirt, wider towards its hem."""
    wide, spread = rig.person.body.width, 0.03 + 0.045 * bottom.flare
    sections = (
        Section(0.61, 0.08 * wide, 0.066),
        Section(0.5, 0.1 * wide, 0.08),
        Section(bottom.hem, 0.075 * wide + spread, 0.06 + spread),
    )
    canvas.barrel(rig.rings(sections), bottom.colour, sag=rig.px(0.014)[0])


def trunk_layers(rig: Rig) -> list[Layer]:
    """Return the layers of top and coat."""
    layers = [Layer(TRUNK, partial(paint_top, rig))]
    if rig.person.outfit.coat is not None:
        layers.append(Layer(COAT, partial(paint_coat, rig, rig.person.outfit.coat)))
    return layers


def paint_top(rig: Rig, canvas: Canvas) -> None:
    """Draw the shirt with pattern, print, collar and, without a coat, the straps of a bag."""
    outfit = rig.person.outfit
    marks: list[Mark] = cloth(outfit.top)
    if outfit.top.print != "none":
        marks.append((PRINTS[outfit.top.print], outfit.top.accent))
    marks.append((neckline, shade(rig.person.looks.skin, 0.92)))
    if outfit.coat is None:
        marks += strap_marks(outfit.bag)
    rings = rig.rings(trunk_sections(rig, 0.47))
    canvas.barrel(rings, outfit.top.colour, marks, yaw=rig.view.yaw, sag=rig.px(0.01)[0])


def cloth(top: Top) -> list[Mark]:
    """Return the pattern of a top, if any."""
    return [] if top.pattern == "plain" else [(PATTERNS[top.pattern], top.accent)]


def paint_coat(rig: Rig, coat: Coat, canvas: Canvas) -> None:
    """Draw a coat, open in front or closed with a visible seam."""
    marks: list[Mark] = [(around(low=coat.hem, high=coat.hem + 0.016), shade(coat.colour, 0.8))]
    if not coat.open:
        marks.append((partial(opening, half=0.006), shade(coat.colour, 0.55)))
        marks.append((around(low=0.835, high=0.9), shade(coat.colour, 0.75)))
    marks += strap_marks(rig.person.outfit.bag)
    rings = rig.rings(trunk_sections(rig, coat.hem, ease=1.1, flare=0.06))
    cover = partial(lapels, half=0.03) if coat.open else None
    canvas.barrel(rings, coat.colour, marks, yaw=rig.view.yaw, sag=rig.px(0.012)[0], cover=cover)


def arm_layers(rig: Rig) -> list[Layer]:
    """Return the layers of both arms with hands."""
    return [Layer(ARMS + rig.view.depth(limb.joints[1]), partial(paint_arm, rig, limb)) for limb in rig.bones.arms]


def paint_arm(rig: Rig, limb: Limb, canvas: Canvas) -> None:
    """Draw an arm: skin and hand, then the sleeve."""
    person, wide = rig.person, 0.35 + 0.65 * rig.person.body.width
    outfit, far = person.outfit, 0.86 if rig.view.depth(limb.joints[0]) < -0.05 else 1.0
    skin = shade(person.looks.skin, far)
    palm = cut(limb.joints, 0.9, 1)
    hand = palm[1] + 0.9 * (palm[1] - palm[0])
    canvas.tube(rig.along([palm[1], hand]), rig.px(0.02, 0.018), skin)
    canvas.tube(rig.along(limb.joints), rig.px(0.031 * wide, 0.025 * wide, 0.019 * wide), skin)
    end = 0.97 * (1.0 if outfit.coat is not None else outfit.top.sleeves)
    points = cut(limb.joints, 0, end)
    ease = wide if outfit.coat is None else 1.12 * wide
    radii = rig.px(*np.linspace(0.037 * ease, (0.037 - 0.01 * end) * ease, len(points)))
    colour, marks = (outfit.top.colour, cloth(outfit.top)) if outfit.coat is None else (outfit.coat.colour, [])
    canvas.tube(rig.along(points), radii, shade(colour, far), marks, unit=rig.view.scale, cuff=True)
