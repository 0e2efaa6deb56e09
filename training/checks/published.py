"""How many images and persons the known data sets have, as their readers give them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """(images, persons) of each part of one version of a data set."""

    name: str
    train: tuple[int, int]
    query: tuple[int, int]
    gallery: tuple[int, int]


PUBLISHED: dict[str, tuple[Published, ...]] = {
    # Without the 3,819 junk boxes; the gallery's persons are 750 and "0000", the distractors.
    "market1501": (Published("Market-1501", (12936, 751), (3368, 750), (15913, 751)),),
    "msmt17": (Published("MSMT17", (32621, 1041), (11659, 3060), (82161, 3060)),),
    "cuhk03": (
        Published("CUHK03-NP detected", (7365, 767), (1400, 700), (5332, 700)),
        Published("CUHK03-NP labeled", (7368, 767), (1400, 700), (5328, 700)),
    ),
    "dukemtmc": (Published("DukeMTMC-reID", (16522, 702), (2228, 702), (17661, 1110)),),
    "occluded": (Published("Occluded-Duke", (15618, 702), (2210, 519), (17661, 1110)),),
    "veri776": (Published("VeRi-776", (37778, 576), (1678, 200), (11579, 200)),),
    "vehicleid": (Published("VehicleID, 800", (113346, 13164), (5693, 800), (800, 800)),),
    "vehicleid-1600": (Published("VehicleID, 1600", (113346, 13164), (11777, 1600), (1600, 1600)),),
    "vehicleid-2400": (Published("VehicleID, 2400", (113346, 13164), (17377, 2400), (2400, 2400)),),
}
