"""Two images side by side, with lines between the patches that correspond."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps

SIDE = 384
GAP = 96
MARGIN = 8
LINE = 18
MAX_PAIRS = 12
"""More lines than these hide the images; the most similar are drawn."""

Box = tuple[float, float, float, float]


def fitted(image: Image.Image) -> Image.Image:
    """Resize an image for drawing: its longer side has SIDE pixels."""
    return ImageOps.contain(image, (SIDE, SIDE))


def draw_pairs(
    images: tuple[Image.Image, Image.Image], pairs: Sequence[tuple[Box, Box]], caption: Sequence[str]
) -> bytes:
    """Draw a PNG of two fitted images, the boxes of the first MAX_PAIRS pairs, and lines of text below.

    A pair is a box of each image, left, top, right, bottom in shares of its width and height; the most similar first.
    """
    font = ImageFont.load_default(size=13)
    lefts = (MARGIN, MARGIN + images[0].width + GAP)
    height = max(each.height for each in images)
    widths = [lefts[1] + images[1].width, *(MARGIN + round(font.getlength(line)) for line in caption)]
    sheet = Image.new("RGB", (max(widths) + MARGIN, height + 2 * MARGIN + LINE * len(caption)), "white")
    for left, each in zip(lefts, images, strict=True):
        sheet.paste(each, (left, MARGIN))
    draw = ImageDraw.Draw(sheet)
    shown = pairs[:MAX_PAIRS]
    for number, pair in enumerate(shown):
        color = _color(number / len(shown))
        first, second = (_placed(box, each, left) for box, each, left in zip(pair, images, lefts, strict=True))
        for box in (first, second):
            draw.rectangle(box, outline=color, width=2)
        draw.line([(first[2], _middle(first)), (second[0], _middle(second))], fill=color, width=2)
    for number, line in enumerate(caption):
        draw.text((MARGIN, height + MARGIN + LINE * number + 4), line, fill="black", font=font)
    content = io.BytesIO()
    sheet.save(content, "PNG")
    return content.getvalue()


def _placed(box: Box, image: Image.Image, left: int) -> Box:
    """Return a box in pixels of the sheet, at least one wide and high."""
    x0, x1 = (left + share * image.width for share in (box[0], box[2]))
    y0, y1 = (MARGIN + share * image.height for share in (box[1], box[3]))
    return x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)


def _middle(box: Box) -> float:
    return (box[1] + box[3]) / 2


def _color(share: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(share, 0.9, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)
