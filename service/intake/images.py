"""The image that a gallery keeps of an item: enough to show it and to embed it again with a later model."""

from __future__ import annotations

import io

from PIL import Image

from vitreid.bundle.preprocess import DEFAULT_LIMITS

LONGEST_SIDE = 512
QUALITY = 90


def encode_image(image: Image.Image) -> bytes:
    """An RGB image as JPEG with at most 512 pixels on its longest side, and enough on the other to be read again.

    Always encoded anew, so that nothing of the source file but its pixels (EXIF, position, comments, a second file
    behind the image) is kept.
    """
    scale = LONGEST_SIDE / max(image.size)
    if scale < 1:
        width, height = (max(DEFAULT_LIMITS.min_side, round(side * scale)) for side in image.size)
        kept = image.resize((width, height), Image.Resampling.BICUBIC)
    else:
        kept = image.copy()
    kept.info = {}  # Pillow would write the comment and the colour profile of the source again
    content = io.BytesIO()
    kept.save(content, "JPEG", quality=QUALITY)
    return content.getvalue()
