"""Backgrounds: the scene of a camera, drawn once for each camera."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from vitreid.synthetic.colours import Colour, shade
from vitreid.synthetic.randomness import pick, stream

SMOOTH = 2
"""Factor by which scenes are drawn larger before they are reduced."""


@dataclass(frozen=True)
class SceneCanvas:
    """A drawing surface: lengths are shares of the image's height; (0, 0) is the upper left corner."""

    draw: ImageDraw.ImageDraw
    size: float
    width: float

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Draw a filled rectangle."""
        self.poly([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def poly(self, points: list[tuple[float, float]], colour: Colour) -> None:
        """Draw a filled polygon."""
        self.draw.polygon([(x * self.size, y * self.size) for x, y in points], fill=paint(colour))

    def line(self, x0: float, y0: float, x1: float, y1: float, colour: Colour, thick: float = 0.006) -> None:
        """Draw a straight line."""
        ends = [(x0 * self.size, y0 * self.size), (x1 * self.size, y1 * self.size)]
        self.draw.line(ends, fill=paint(colour), width=max(1, round(thick * self.size)))

    def oval(self, x: float, y: float, half_width: float, half_height: float, colour: Colour) -> None:
        """Draw a filled ellipse."""
        bounds = [(x - half_width) * self.size, (y - half_height) * self.size]
        bounds += [(x + half_width) * self.size, (y + half_height) * self.size]
        self.draw.ellipse(bounds, fill=paint(colour))


def paint(colour: Colour) -> tuple[int, int, int]:
    """Return the colour in whole numbers."""
    return round(colour[0]), round(colour[1]), round(colour[2])


def floor(board: SceneCanvas, horizon: float, colour: Colour, lines: Colour, rows: int = 7) -> None:
    """Draw a floor of flagstones in perspective."""
    board.box(0, horizon, board.width, 1, colour)
    for row in range(1, rows):
        y = horizon + (1 - horizon) * (row / rows) ** 1.8
        board.line(0, y, board.width, y, lines, 0.004)
    middle = board.width / 2
    for k in range(-9, 10):
        board.line(middle + 0.1 * k, horizon, middle + 0.26 * k, 1, lines, 0.004)


def brick_wall(board: SceneCanvas, rng: np.random.Generator) -> None:
    """Draw a brick wall above a pavement."""
    wall = pick(rng, ((176, 112, 92), (190, 160, 132), (150, 104, 96)))
    horizon = float(rng.uniform(0.5, 0.62))
    board.box(0, 0, board.width, horizon, shade(wall, 1.12))
    for row in range(int(horizon / 0.035) + 1):
        y, offset = horizon - 0.035 * (row + 1), 0.045 * (row % 2)
        for column in range(-1, int(board.width / 0.09) + 1):
            x = 0.09 * column + offset
            board.box(x, y, x + 0.084, y + 0.03, shade(wall, float(rng.uniform(0.92, 1.06))))
    board.box(0, horizon - 0.035, board.width, horizon, shade(wall, 0.7))
    floor(board, horizon, (178, 176, 170), (158, 156, 150))


def park(board: SceneCanvas, rng: np.random.Generator) -> None:
    """Draw grass with trees and a path."""
    horizon = float(rng.uniform(0.3, 0.4))
    board.box(0, 0, board.width, horizon, (188, 214, 226))
    for _ in range(7):
        x, size = float(rng.uniform(0, board.width)), float(rng.uniform(0.1, 0.2))
        green = pick(rng, ((92, 138, 84), (112, 154, 92), (78, 122, 82)))
        board.box(x - 0.014, horizon - 0.08, x + 0.014, horizon + 0.04, (112, 86, 66))
        board.oval(x, horizon - 0.12, size, size * 1.1, green)
        board.oval(x - size * 0.3, horizon - 0.16, size * 0.5, size * 0.5, shade(green, 1.1))
    board.box(0, horizon, board.width, 1, (128, 168, 96))
    for _ in range(60):
        x, y = float(rng.uniform(0, board.width)), float(rng.uniform(horizon + 0.02, 1))
        board.line(x, y, x + 0.008, y - 0.02, (108, 148, 82), 0.004)
    board.poly([(0, 0.8), (board.width, 0.66), (board.width, 0.86), (0, 1)], (206, 190, 156))


def shop(board: SceneCanvas, rng: np.random.Generator) -> None:
    """Draw a shop window under an awning."""
    colour = pick(rng, ((196, 72, 66), (66, 120, 150), (88, 136, 96), (206, 150, 64)))
    board.box(0, 0, board.width, 0.58, (214, 204, 188))
    board.box(0, 0.0, board.width, 0.09, shade(colour, 0.75))
    for k in range(int(board.width / 0.2) + 1):
        left = 0.2 * k + 0.02
        board.box(left, 0.2, left + 0.17, 0.5, (150, 178, 188))
        board.poly([(left, 0.5), (left, 0.34), (left + 0.1, 0.2), (left + 0.17, 0.2)], (172, 198, 206))
        for item in range(3):
            low = 0.5 - float(rng.uniform(0.04, 0.12))
            goods = pick(rng, ((198, 120, 110), (214, 190, 120), (120, 146, 170), (160, 130, 160)))
            board.box(left + 0.02 + 0.05 * item, low, left + 0.055 + 0.05 * item, 0.5, goods)
    for k in range(int(board.width / 0.08) + 1):
        stripe = colour if k % 2 else (240, 236, 226)
        x = 0.08 * k
        board.poly([(x, 0.08), (x + 0.08, 0.08), (x + 0.09, 0.19), (x - 0.01, 0.19)], stripe)
    board.box(0, 0.55, board.width, 0.6, (140, 130, 120))
    floor(board, 0.6, (190, 186, 180), (168, 164, 158), 5)


def crossing(board: SceneCanvas, rng: np.random.Generator) -> None:
    """Draw a road with a zebra crossing and houses behind it."""
    board.box(0, 0, board.width, 0.3, (200, 206, 212))
    x = -0.05
    while x < board.width:
        wide = float(rng.uniform(0.2, 0.34))
        house = pick(rng, ((204, 180, 150), (186, 190, 196), (196, 160, 146), (222, 212, 190)))
        board.box(x, float(rng.uniform(0, 0.1)), x + wide, 0.34, house)
        for k in range(int(wide / 0.08)):
            board.box(x + 0.03 + 0.08 * k, 0.14, x + 0.07 + 0.08 * k, 0.22, (132, 152, 166))
        x += wide
    board.box(0, 0.34, board.width, 0.44, (184, 182, 178))
    board.box(0, 0.44, board.width, 0.455, (150, 148, 146))
    board.box(0, 0.455, board.width, 1, (112, 114, 120))
    for k in range(-6, 12):
        left = 0.17 * k
        board.poly([(left, 0.56), (left + 0.08, 0.56), (left + 0.03, 0.98), (left - 0.09, 0.98)], (226, 226, 222))


def platform(board: SceneCanvas, rng: np.random.Generator) -> None:
    """Draw a station hall: tiles, a poster and a yellow line."""
    tile = pick(rng, ((216, 222, 220), (204, 214, 222), (224, 216, 200)))
    board.box(0, 0, board.width, 0.6, tile)
    for k in range(40):
        board.line(0.07 * k, 0, 0.07 * k, 0.6, shade(tile, 0.92), 0.004)
    for k in range(9):
        board.line(0, 0.07 * k, board.width, 0.07 * k, shade(tile, 0.92), 0.004)
    left = float(rng.uniform(0.05, 0.3))
    for k in range(3):
        poster = pick(rng, ((80, 130, 166), (204, 108, 84), (96, 150, 120), (222, 184, 88)))
        board.box(left + 0.55 * k, 0.12, left + 0.55 * k + 0.3, 0.42, shade(poster, 0.6))
        board.box(left + 0.55 * k + 0.01, 0.13, left + 0.55 * k + 0.29, 0.41, poster)
        board.oval(left + 0.55 * k + 0.15, 0.25, 0.07, 0.07, shade(poster, 1.4))
    board.box(0, 0.0, board.width, 0.06, (60, 78, 112))
    board.box(0, 0.57, board.width, 0.6, (110, 116, 122))
    floor(board, 0.6, (164, 166, 168), (150, 152, 154), 6)
    board.box(0, 0.9, board.width, 0.94, (230, 190, 70))


def corridor(board: SceneCanvas, rng: np.random.Generator) -> None:
    """Draw a corridor with doors, a skirting board and a polished floor."""
    wall = pick(rng, ((222, 214, 198), (206, 214, 206), (216, 206, 212)))
    board.box(0, 0, board.width, 0.62, wall)
    board.box(0, 0.36, board.width, 0.62, shade(wall, 0.9))
    left = float(rng.uniform(-0.1, 0.1))
    while left < board.width:
        door = pick(rng, ((150, 116, 86), (110, 130, 146), (168, 140, 108)))
        board.box(left, 0.05, left + 0.26, 0.62, shade(door, 0.75))
        board.box(left + 0.015, 0.065, left + 0.245, 0.62, door)
        board.box(left + 0.09, 0.13, left + 0.17, 0.28, shade(door, 1.3))
        board.oval(left + 0.215, 0.37, 0.012, 0.012, (220, 206, 150))
        left += float(rng.uniform(0.42, 0.55))
    board.box(0, 0.6, board.width, 0.63, (112, 104, 98))
    board.box(0, 0.63, board.width, 1, (176, 160, 140))
    for k in range(6):
        x = 0.35 * k
        board.poly([(x, 0.63), (x + 0.08, 0.63), (x - 0.02, 1), (x - 0.14, 1)], (190, 175, 156))


def car_park(board: SceneCanvas, rng: np.random.Generator) -> None:
    """Draw asphalt with bays and parked cars."""
    board.box(0, 0, board.width, 0.24, (196, 204, 206))
    board.box(0, 0.16, board.width, 0.3, (146, 156, 140))
    board.box(0, 0.3, board.width, 1, (136, 138, 140))
    for k in range(4):
        left = 0.5 * k - float(rng.uniform(0.0, 0.2))
        parked(board, left, 0.42, 0.36, pick(rng, ((164, 70, 66), (84, 110, 146), (206, 206, 204), (84, 88, 94))))
    for k in range(-4, 10):
        board.line(0.3 * k, 0.48, 0.42 * k - 0.2, 0.8, (222, 222, 214), 0.012)


def parked(board: SceneCanvas, left: float, ground: float, length: float, colour: Colour) -> None:
    """Draw a car from the side."""
    roof = [(left + 0.2 * length, ground - 0.1), (left + 0.32 * length, ground - 0.17)]
    roof += [(left + 0.7 * length, ground - 0.17), (left + 0.86 * length, ground - 0.1)]
    board.poly(roof, shade(colour, 0.8))
    board.poly([(x + (left + length / 2 - x) * 0.14, y + 0.008) for x, y in roof], (176, 196, 204))
    board.box(left, ground - 0.1, left + length, ground - 0.025, colour)
    for wheel in (0.2, 0.8):
        board.oval(left + wheel * length, ground - 0.02, 0.03, 0.03, (46, 46, 50))
        board.oval(left + wheel * length, ground - 0.02, 0.013, 0.013, (170, 170, 170))


def plaza(board: SceneCanvas, rng: np.random.Generator) -> None:
    """Draw a square with hedges and glass fronts."""
    glass = pick(rng, ((132, 162, 178), (150, 172, 168), (140, 150, 176)))
    board.box(0, 0, board.width, 0.42, glass)
    for k in range(20):
        board.box(0.16 * k, 0, 0.16 * k + 0.012, 0.42, shade(glass, 0.7))
        board.poly([(0.16 * k + 0.02, 0.3), (0.16 * k + 0.12, 0.05), (0.16 * k + 0.15, 0.05), (0.16 * k + 0.05, 0.3)],
                   shade(glass, 1.18))  # fmt: skip
    for y in (0.14, 0.29):
        board.box(0, y, board.width, y + 0.012, shade(glass, 0.7))
    board.box(0, 0.34, board.width, 0.45, (96, 134, 88))
    for _ in range(50):
        board.oval(float(rng.uniform(0, board.width)), float(rng.uniform(0.33, 0.44)), 0.02, 0.015, (110, 150, 96))
    floor(board, 0.45, (206, 194, 178), (186, 174, 158), 8)


SCENES: dict[str, Callable[[SceneCanvas, np.random.Generator], None]] = {
    "brick_wall": brick_wall,
    "park": park,
    "shop": shop,
    "crossing": crossing,
    "platform": platform,
    "corridor": corridor,
    "car_park": car_park,
    "plaza": plaza,
}


def draw_scene(name: str, seed: int, camera: int, size: tuple[int, int]) -> Image.Image:
    """Draw the scene of a camera, RGB, twice as wide and a tenth higher than an image of `size` (height, width)."""
    height, width = round(size[0] * 1.1), size[1] * 2
    image = Image.new("RGB", (width * SMOOTH, height * SMOOTH))
    board = SceneCanvas(ImageDraw.Draw(image), height * SMOOTH, width / height)
    SCENES[name](board, stream(seed, "scene", camera))
    return image.reduce(SMOOTH)
