"""Persons: build, looks and clothes, as values that the drawing modules use."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from vitreid.synthetic.colours import HAIR, LOWER, SHOES, SKIN, UPPER, Colour, dye
from vitreid.synthetic.randomness import chance, pick, stream, weigh

SIMILAR_SHARE = 0.4
"""Share of persons who wear the clothes of an earlier person with one or two changes."""

SIMILAR_DISTANCE = 4
"""Largest difference of the identities of such a pair."""

PATTERNS = {"plain": 5.0, "stripes": 1.4, "pinstripes": 0.6, "checks": 1.2, "dots": 0.6, "block": 0.9, "hoop": 0.9}
PRINTS = {"none": 4.0, "disc": 1.0, "square": 0.7, "bar": 0.8, "triangle": 0.7, "cross": 0.5}
HAIRSTYLES = {
    "short": 4.0, "crop": 1.5, "long": 2.4, "ponytail": 1.2, "bun": 0.9, "bob": 1.2, "afro": 1.1, "bald": 0.7,
}  # fmt: skip


@dataclass(frozen=True)
class Body:
    """Build as factors of the average one: height, width of trunk and limbs, size of the head, share of the legs."""

    height: float
    width: float
    head: float
    legs: float


@dataclass(frozen=True)
class Looks:
    """Skin, hair, beard and glasses of a person."""

    skin: Colour
    hair: Colour
    hairstyle: str
    beard: bool
    glasses: bool


@dataclass(frozen=True)
class Top:
    """Shirt, T-shirt or sweater; `sleeves` is the covered share of the arm, 0..1."""

    colour: Colour
    accent: Colour
    pattern: str
    print: str
    sleeves: float


@dataclass(frozen=True)
class Coat:
    """A jacket or coat over the top; `hem` is the height of its lower edge (0 = ground, 1 = top of the head)."""

    colour: Colour
    hem: float
    open: bool


@dataclass(frozen=True)
class Bottom:
    """Trousers, shorts or skirt; `hem` as in Coat, `flare` the width of the lower edge (1 = average)."""

    kind: str
    colour: Colour
    hem: float
    flare: float
    striped: bool


@dataclass(frozen=True)
class Shoes:
    """Shoes or boots, with the colour of the sole."""

    kind: str
    colour: Colour
    sole: Colour


@dataclass(frozen=True)
class Bag:
    """A backpack, a bag on a strap across the body, or a bag in one hand; `side` is +1 (left) or -1."""

    kind: str
    colour: Colour
    side: int


@dataclass(frozen=True)
class Headwear:
    """Cap, beanie, hood or scarf."""

    kind: str
    colour: Colour


@dataclass(frozen=True)
class Outfit:
    """Everything a person wears and carries."""

    top: Top
    coat: Coat | None
    bottom: Bottom
    shoes: Shoes
    bag: Bag | None
    headwear: Headwear | None


@dataclass(frozen=True)
class Person:
    """One identity; `like` is the earlier identity whose clothes it wears with one or two changes, or None."""

    identity: int
    body: Body
    looks: Looks
    outfit: Outfit
    like: int | None

    @classmethod
    def sample(cls, seed: int, identity: int) -> "Person":
        """Return the person of an identity, from 1; the two numbers alone determine it."""
        rng = stream(seed, "person", identity)
        body, looks = sample_body(rng), sample_looks(rng)
        if identity > 1 and chance(rng, SIMILAR_SHARE):
            like = identity - int(rng.integers(1, min(SIMILAR_DISTANCE, identity - 1) + 1))
            return cls(identity, body, looks, vary(cls.sample(seed, like).outfit, rng), like)
        return cls(identity, body, looks, sample_outfit(rng), None)


def sample_body(rng: np.random.Generator) -> Body:
    """Sample a build; most people are near the average."""
    width = float(np.clip(rng.normal(1.02, 0.12), 0.8, 1.32))
    return Body(float(rng.uniform(0.93, 1.04)), width, float(rng.uniform(0.95, 1.1)), float(rng.uniform(0.95, 1.05)))


def sample_looks(rng: np.random.Generator) -> Looks:
    """Sample skin, hair and face."""
    style = weigh(rng, HAIRSTYLES)
    beard = style in ("short", "crop", "bald", "afro") and chance(rng, 0.3)
    return Looks(pick(rng, SKIN), weigh(rng, HAIR), style, beard, chance(rng, 0.2))


def sample_outfit(rng: np.random.Generator) -> Outfit:
    """Sample all clothes independently."""
    return Outfit(
        top=sample_top(rng),
        coat=sample_coat(rng),
        bottom=sample_bottom(rng),
        shoes=sample_shoes(rng),
        bag=sample_bag(rng),
        headwear=sample_headwear(rng),
    )


def sample_top(rng: np.random.Generator) -> Top:
    """Sample a top; prints are on plain clothes only."""
    colour = dye(rng, UPPER)
    pattern = weigh(rng, PATTERNS)
    figure = weigh(rng, PRINTS) if pattern == "plain" else "none"
    return Top(colour, dye(rng, UPPER, unlike=colour), pattern, figure, weigh(rng, {1.0: 4, 0.38: 4, 0.1: 1}))


def sample_coat(rng: np.random.Generator) -> Coat | None:
    """Sample a jacket or a long coat, or none."""
    if not chance(rng, 0.35):
        return None
    return Coat(dye(rng, UPPER), weigh(rng, {0.47: 3, 0.4: 1, 0.27: 1.2}), chance(rng, 0.65))


def sample_bottom(rng: np.random.Generator) -> Bottom:
    """Sample trousers, shorts or a skirt."""
    kind = weigh(rng, {"trousers": 6, "shorts": 1.6, "skirt": 1.8})
    hem = {"trousers": weigh(rng, {0.055: 4, 0.1: 1}), "shorts": 0.29, "skirt": weigh(rng, {0.33: 2, 0.24: 1, 0.12: 1})}
    flare = float(rng.uniform(0.85, 1.3))
    return Bottom(kind, dye(rng, LOWER), hem[kind], flare, kind == "trousers" and chance(rng, 0.12))


def sample_shoes(rng: np.random.Generator) -> Shoes:
    """Sample shoes or boots; half of the soles are white."""
    colour = dye(rng, SHOES)
    sole: Colour = (236, 234, 230) if chance(rng, 0.5) else (52, 46, 46)
    return Shoes(weigh(rng, {"shoes": 4, "boots": 1}), colour, sole)


def sample_bag(rng: np.random.Generator) -> Bag | None:
    """Sample a bag, for two persons in three."""
    kind = weigh(rng, {"none": 1.6, "backpack": 1.5, "shoulder": 1, "hand": 0.9})
    return None if kind == "none" else Bag(kind, dye(rng, UPPER), pick(rng, (-1, 1)))


def sample_headwear(rng: np.random.Generator) -> Headwear | None:
    """Sample headwear, for one person in four."""
    kind = weigh(rng, {"none": 6, "cap": 0.9, "beanie": 0.6, "hood": 0.4, "scarf": 0.4})
    return None if kind == "none" else Headwear(kind, dye(rng, UPPER))


CHANGES: tuple[Callable[[Outfit, np.random.Generator], Outfit], ...] = (
    lambda outfit, rng: replace(outfit, top=sample_top(rng)),
    lambda outfit, rng: replace(outfit, coat=sample_coat(rng)),
    lambda outfit, rng: replace(outfit, bottom=sample_bottom(rng)),
    lambda outfit, rng: replace(outfit, shoes=sample_shoes(rng)),
    lambda outfit, rng: replace(outfit, bag=sample_bag(rng)),
    lambda outfit, rng: replace(outfit, headwear=sample_headwear(rng)),
)


def vary(outfit: Outfit, rng: np.random.Generator) -> Outfit:
    """Return the outfit with one or two parts changed."""
    chosen = rng.choice(len(CHANGES), size=int(rng.integers(1, 3)), replace=False)
    changed = outfit
    while changed == outfit:  # a change from no bag to no bag changes nothing
        for change in chosen:
            changed = CHANGES[change](changed, rng)
    return changed
