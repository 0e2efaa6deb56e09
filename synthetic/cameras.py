"""Cameras: scene, view of people, and image quality."""

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageFilter

from vitreid.synthetic.canvas import Array
from vitreid.synthetic.randomness import stream, weigh
from vitreid.synthetic.scenes import SCENES, draw_scene
from vitreid.synthetic.skeleton import VIEWS

PREFERENCE = 0.55
"""Share of images in the preferred view of a camera; the other views have equal shares."""

CASTS: tuple[tuple[float, float, float], ...] = (
    (1.0, 1.0, 1.0), (1.12, 1.0, 0.82), (0.88, 0.98, 1.14), (0.94, 1.06, 0.92), (1.08, 0.95, 1.04), (1.05, 1.03, 0.9),
    (0.92, 1.0, 1.06), (1.0, 0.95, 0.95),
)  # fmt: skip
"""Colour casts: factors of red, green and blue."""


@dataclass(frozen=True)
class Camera:
    """The fixed properties of one camera.

    cast: factors of red, green, blue; exposure: factor of the light; contrast: factor around middle grey;
    blur: radius in pixels at a height of 256; noise: standard deviation, 0..255; quality: JPEG quality of the
    recording; pitch: downward tilt; tightness: share of the image's height that a person fills.
    """

    number: int
    seed: int
    scene: str
    view: str
    cast: tuple[float, float, float]
    exposure: float
    contrast: float
    blur: float
    noise: float
    quality: int
    pitch: float
    tightness: float

    @classmethod
    def sample(cls, seed: int, number: int) -> "Camera":
        """Return camera `number`, from 1; the first eight cameras of a seed have different scenes and casts."""
        shared, rng = stream(seed, "cameras"), stream(seed, "camera", number)
        scenes, casts = shared.permutation(list(SCENES)), shared.permutation(len(CASTS))
        views, turn = shared.permutation(list(VIEWS)), number - 1
        # The casts shift by one in each round through the scenes, so 64 cameras have every scene in every cast.
        cast = CASTS[casts[(turn + turn // len(scenes)) % len(CASTS)]]
        red, green, blue = np.multiply(cast, rng.normal(1, 0.02, 3)).tolist()
        return cls(
            number=number,
            seed=seed,
            scene=str(scenes[turn % len(scenes)]),
            view=str(views[turn % len(views)]),
            cast=(red, green, blue),
            exposure=float(rng.uniform(0.78, 1.16)),
            contrast=float(rng.uniform(0.8, 1.14)),
            blur=float(rng.choice([0.0, 0.3, 0.6, 1.0])),
            noise=float(rng.uniform(0.5, 5.0)),
            quality=int(rng.integers(45, 92)),
            pitch=float(rng.uniform(0.04, 0.22)),
            tightness=float(rng.uniform(0.86, 0.96)),
        )

    def yaw(self, rng: np.random.Generator) -> float:
        """Sample the yaw of a person, near one of the named views."""
        share = (1 - PREFERENCE) / (len(VIEWS) - 1)
        name = weigh(rng, {view: PREFERENCE if view == self.view else share for view in VIEWS})
        return VIEWS[name] + float(rng.normal(0, 0.28))

    def background(self, rng: np.random.Generator, size: tuple[int, int]) -> Array:
        """Return the part of the scene behind a person, float32 (H, W, 3), with a random shift."""
        scene, (height, width) = scene_pixels(self, size), size
        y = int(rng.integers(scene.shape[0] - height + 1))
        middle, shift = (scene.shape[1] - width) // 2, width // 4
        x = int(np.clip(middle + rng.integers(-shift, shift + 1), 0, scene.shape[1] - width))
        return scene[y : y + height, x : x + width].astype(np.float32)

    def record(self, pixels: Array, rng: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        """Apply the camera's quality to a clean float32 image (H, W, 3) and return uint8 of the same shape."""
        light = self.exposure * float(rng.normal(1, 0.04))
        gain = np.array(self.cast, np.float32) * np.float32(light * self.contrast)
        noise = rng.standard_normal(pixels.shape[:2], np.float32) * np.float32(self.noise)
        toned = pixels * gain + np.float32(128 * (1 - self.contrast))
        image = Image.fromarray(np.clip(toned + noise[..., None], 0, 255).astype(np.uint8))
        if self.blur:
            image = image.filter(ImageFilter.GaussianBlur(self.blur * pixels.shape[0] / 256))
        return np.asarray(Image.open(BytesIO(jpeg(image, self.quality))))


def jpeg(image: Image.Image, quality: int) -> bytes:
    """Return the image as a JPEG file."""
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


@lru_cache(maxsize=64)
def scene_pixels(camera: Camera, size: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return the camera's scene, uint8; cached, since every image of the camera needs it."""
    return np.asarray(draw_scene(camera.scene, camera.seed, camera.number, size))
