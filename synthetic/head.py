"""Head, hair and headwear: masks on a sphere that turn with the person."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from vitreid.synthetic.canvas import Array, Canvas, Sphere, SphereMark, soft
from vitreid.synthetic.colours import INK, Colour, shade
from vitreid.synthetic.people import Headwear, Looks
from vitreid.synthetic.rig import Layer, Rig, Section

HEAD, WIDTH, HEIGHT, FORWARD = 0.918, 0.06, 0.073, 0.012
HAIRLINE: dict[str, float] = {
    "short": -0.16, "crop": -0.04, "long": -0.24, "ponytail": -0.13, "bun": -0.1, "bob": -0.3, "afro": -0.2,
}  # fmt: skip
"""Level of the hairline; more negative is closer to the face."""
VOLUME: dict[str, float] = {
    "short": 1.09, "crop": 1.03, "long": 1.11, "ponytail": 1.06, "bun": 1.06, "bob": 1.15, "afro": 1.28,
}  # fmt: skip
"""Size of the hair relative to the head."""
FALL: dict[str, float] = {"long": 0.74, "bob": 0.85}
"""Height of the lower end of loose hair."""


def head_layers(rig: Rig) -> list[Layer]:
    """Return the layers of neck, head with face, hair and headwear."""
    looks, worn = rig.person.looks, rig.person.outfit.headwear
    size = rig.person.body.head
    hidden = worn is not None and worn.kind == "scarf"
    marks = face(replace(looks, beard=looks.beard and not hidden))
    layers = [Layer(-0.006, partial(paint_neck, rig)), cap_of(rig, 0.012, 1.0, looks.skin, None, marks)]
    layers += [Layer(0.0121 if rig.near(0, 1) > -0.1 else 0.0119, partial(paint_nose, rig))]
    covered = worn is not None and worn.kind in ("hood", "scarf")
    if looks.hairstyle != "bald" and not covered:
        layers += hair_layers(rig, looks, size)
    if worn is not None:
        layers += HEADWEAR[worn.kind](rig, worn)
    return layers


def cap_of(
    rig: Rig, depth: float, factor: float, colour: Colour, cover: Callable[[Sphere], Array] | None,
    marks: tuple[SphereMark, ...] = (),
) -> Layer:  # fmt: skip
    """Return the layer of a sphere around the head, `factor` times as large; only the covered part is drawn."""
    size = rig.person.body.head * factor
    width, height = rig.px(WIDTH * size, HEIGHT * size)
    centre = rig.at(0, HEAD, FORWARD)

    def paint(canvas: Canvas) -> None:
        canvas.ball(centre, (width, height), colour, marks, yaw=rig.view.yaw, cover=cover)

    return Layer(depth, paint)


def paint_neck(rig: Rig, canvas: Canvas) -> None:
    """Draw the neck, which is behind trunk and head."""
    points = [rig.at(0, 0.88, 0.006), rig.at(0, 0.80, 0)]
    canvas.tube(points, rig.px(0.03, 0.036), shade(rig.person.looks.skin, 0.9))


def paint_nose(rig: Rig, canvas: Canvas) -> None:
    """Draw the nose, which protrudes from the face when seen from the side."""
    width, height = rig.px(0.009, 0.012)
    tip = rig.at(0, HEAD - 0.012, FORWARD + 0.98 * WIDTH * rig.person.body.head)
    canvas.ball(tip, (width, height), shade(rig.person.looks.skin, 0.95))


def face(looks: Looks) -> tuple[SphereMark, ...]:
    """Return the marks of eyes, mouth, beard and glasses."""
    marks: list[SphereMark] = []
    if looks.beard:
        marks.append((beard, shade(looks.hair, 0.95)))
    marks += [(eyes, INK), (mouth, shade(looks.skin, 0.62))]
    if looks.glasses:
        marks.append((glasses, (30, 32, 44)))
    return tuple(marks)


def eyes(sphere: Sphere) -> Array:
    """Return the mask of the eyes, two dots."""
    return soft(0.115 - np.hypot(np.abs(sphere.x) - 0.37, (sphere.y - 0.04) * 0.8)) * (sphere.z > 0)


def mouth(sphere: Sphere) -> Array:
    """Return the mask of the mouth, a short line."""
    return soft(np.minimum(0.2 - np.abs(sphere.x), 0.045 - np.abs(sphere.y + 0.5))) * (sphere.z > 0)


def beard(sphere: Sphere) -> Array:
    """Return the mask of the chin and the cheeks, without the mouth."""
    lower = np.minimum(-0.28 - sphere.y, sphere.z - 0.12)
    return soft(np.minimum(lower, np.hypot(sphere.x, sphere.y + 0.5) - 0.12))


def glasses(sphere: Sphere) -> Array:
    """Return the mask of two round frames and the bridge between them."""
    frame = 0.055 - np.abs(np.hypot(np.abs(sphere.x) - 0.37, sphere.y - 0.04) - 0.25)
    bridge = np.minimum(0.04 - np.abs(sphere.y - 0.1), 0.15 - np.abs(sphere.x))
    return soft(np.maximum(frame, bridge)) * (sphere.z > 0)


def hair_layers(rig: Rig, looks: Looks, size: float) -> list[Layer]:
    """Return the layers of the hair and, by style, of loose hair, a tail or a knot."""
    style = looks.hairstyle
    cover = partial(hair_cover, level=HAIRLINE[style], low=-0.95 if style in FALL else -0.62)
    layers = [cap_of(rig, 0.014, VOLUME[style], looks.hair, cover)]
    if style in FALL:
        layers.append(Layer(min(rig.near(0, -0.036) + 0.013, 0.0135), partial(paint_fall, rig, FALL[style])))
    if style == "ponytail":
        layers.append(Layer(rig.near(0, -0.09) + 0.0135, partial(paint_tail, rig)))
    if style == "bun" and rig.person.outfit.headwear is None:
        layers.append(Layer(rig.near(0, -0.06) + 0.0135, partial(paint_knot, rig)))
    return layers


def hair_cover(sphere: Sphere, *, level: float, low: float) -> Array:
    """Return the mask of top, back and sides of the head, up to a slanting hairline and down to `low`."""
    return soft(np.minimum(0.75 * sphere.y - 0.66 * sphere.z - level, sphere.y - low), 9)


def paint_fall(rig: Rig, down: float, canvas: Canvas) -> None:
    """Draw loose hair behind the neck, down to a height."""
    size = rig.person.body.head
    sections = (
        Section(HEAD + 0.02, 0.06 * size, 0.042, z=-0.02),
        Section(HEAD - 0.04, 0.067 * size, 0.044, z=-0.026),
        Section(down + 0.02, 0.066 * size, 0.036, z=-0.04),
        Section(down, 0.055 * size, 0.03, z=-0.044),
    )
    canvas.barrel(rig.rings(sections), rig.person.looks.hair, sag=rig.px(0.012)[0])


def paint_tail(rig: Rig, canvas: Canvas) -> None:
    """Draw a tail from the back of the head."""
    points = [rig.at(0, HEAD + 0.025, -0.055), rig.at(0, HEAD - 0.02, -0.092), rig.at(0, HEAD - 0.115, -0.082)]
    canvas.tube(points, rig.px(0.02, 0.024, 0.011), rig.person.looks.hair)


def paint_knot(rig: Rig, canvas: Canvas) -> None:
    """Draw a knot high at the back of the head."""
    canvas.ball(rig.at(0, HEAD + 0.068, -0.04), (rig.px(0.03)[0], rig.px(0.028)[0]), rig.person.looks.hair)


def wear_cap(rig: Rig, worn: Headwear) -> list[Layer]:
    """Return the layers of a cap with its shade above the eyes."""
    size = rig.person.body.head

    def paint_shade(canvas: Canvas) -> None:
        points = [rig.at(0, HEAD + 0.037, FORWARD + 0.03 * size), rig.at(0, HEAD + 0.034, FORWARD + 0.1 * size)]
        wide = 0.02 + 0.022 * abs(float(np.cos(rig.view.yaw)))
        canvas.tube(points, rig.px(0.018, 0.01), shade(worn.colour, 0.8))
        if wide > 0.03:
            left, right = rig.at(-0.04 * size, HEAD + 0.036, 0.075), rig.at(0.04 * size, HEAD + 0.036, 0.075)
            canvas.tube([left, right], rig.px(0.01, 0.01), shade(worn.colour, 0.8))

    crown = cap_of(rig, 0.016, 1.12, worn.colour, partial(above, level=0.38, tilt=0.0))
    return [crown, Layer(0.017 if rig.near(0, 1) > -0.1 else 0.0, paint_shade)]


def wear_beanie(rig: Rig, worn: Headwear) -> list[Layer]:
    """Return the layers of a knitted hat with a folded edge."""
    edge: SphereMark = (lambda sphere: soft(0.42 - sphere.y - 0.12 * sphere.z), shade(worn.colour, 0.78))
    return [cap_of(rig, 0.016, 1.15, worn.colour, partial(above, level=0.16, tilt=-0.12), (edge,))]


def wear_hood(rig: Rig, worn: Headwear) -> list[Layer]:
    """Return the layers of a hood around the face, and its collar."""
    cover = partial(around_face, width=0.66, top=0.62)
    return [cap_of(rig, 0.015, 1.2, worn.colour, cover), Layer(0.011, partial(paint_collar, rig, worn.colour, 0.8))]


def wear_scarf(rig: Rig, worn: Headwear) -> list[Layer]:
    """Return the layers of a headscarf that falls onto the shoulders."""
    cover = partial(around_face, width=0.58, top=0.55)
    return [cap_of(rig, 0.015, 1.12, worn.colour, cover), Layer(0.011, partial(paint_collar, rig, worn.colour, 0.77))]


HEADWEAR: dict[str, Callable[[Rig, Headwear], list[Layer]]] = {
    "cap": wear_cap, "beanie": wear_beanie, "hood": wear_hood, "scarf": wear_scarf,
}  # fmt: skip


def above(sphere: Sphere, *, level: float, tilt: float) -> Array:
    """Return the mask of the part of the head above a tilted plane."""
    return soft(sphere.y + tilt * sphere.z - level, 10)


def around_face(sphere: Sphere, *, width: float, top: float) -> Array:
    """Return the mask of everything but an oval face."""
    oval = np.hypot(sphere.x / width, (sphere.y + 0.15) / (top + 0.15)) - 1
    return np.where(sphere.z > 0, soft(oval, 6), 1).astype(np.float32)


def paint_collar(rig: Rig, colour: Colour, down: float, canvas: Canvas) -> None:
    """Draw cloth around the neck, from the chin to a height."""
    sections = (Section(0.885, 0.05, 0.05), Section(0.85, 0.06, 0.056), Section(down, 0.085, 0.07))
    canvas.barrel(rig.rings(sections), shade(colour, 0.92), sag=rig.px(0.016)[0])
