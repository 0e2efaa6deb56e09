import numpy as np
import pytest
from PIL import Image

from vitreid.synthetic import Camera, Person, View, image
from vitreid.synthetic.cameras import CASTS, PREFERENCE
from vitreid.synthetic.canvas import Canvas
from vitreid.synthetic.occlusion import OCCLUDED_SHARE, OCCLUDERS
from vitreid.synthetic.patterns import PATTERNS as DRAWN_PATTERNS
from vitreid.synthetic.patterns import PRINTS as DRAWN_PRINTS
from vitreid.synthetic.people import PATTERNS, PRINTS
from vitreid.synthetic.randomness import stream
from vitreid.synthetic.scenes import SCENES, draw_scene
from vitreid.synthetic.skeleton import VIEWS

SMALL = (128, 64)


def test_equal_arguments_give_equal_pixels() -> None:
    first = image(3, 4, 2, 1, SMALL).pixels
    assert first.dtype == np.uint8
    assert first.shape == (128, 64, 3)
    image(3, 9, 1, 0, SMALL)
    assert np.array_equal(image(3, 4, 2, 1, SMALL).pixels, first)
    for other in ((4, 4, 2, 1), (3, 5, 2, 1), (3, 4, 1, 1), (3, 4, 2, 0)):
        assert not np.array_equal(image(*other, SMALL).pixels, first)


def test_usual_size() -> None:
    assert image(0, 1, 1, 0).pixels.shape == (256, 128, 3)


@pytest.mark.parametrize("size", [(32, 16), (65, 33), (40, 90)])
def test_any_size(size: tuple[int, int]) -> None:
    assert image(0, 1, 1, 0, size).pixels.shape == (*size, 3)


@pytest.mark.slow
def test_some_images_are_occluded_and_all_occluders_occur() -> None:
    occluders = [
        image(1, identity, camera, 0, (32, 16)).occluder for identity in range(1, 61) for camera in range(1, 6)
    ]
    hidden = [name for name in occluders if name is not None]
    assert len(hidden) / len(occluders) == pytest.approx(OCCLUDED_SHARE, abs=0.06)
    assert set(hidden) == set(OCCLUDERS)


@pytest.mark.parametrize("name", sorted(OCCLUDERS))
def test_every_occluder_hides_a_part_but_not_all(name: str) -> None:
    view = View(0.0, 0.1, 110, 32, 122)
    covered = []
    for n in range(6):
        canvas = Canvas(np.full((128, 64, 3), 128, np.float32))
        OCCLUDERS[name](canvas, stream(0, name, n), view)
        covered.append(float((np.abs(canvas.pixels - 128).max(axis=2) > 1).mean()))
    assert min(covered) > 0.01
    assert max(covered) < 0.6


@pytest.mark.parametrize("name", sorted(SCENES))
def test_every_scene_fills_its_image(name: str) -> None:
    scene = draw_scene(name, 1, 1, SMALL)
    assert scene.size == (128, 141)
    pixels = np.asarray(scene)
    assert not (pixels.max(axis=2) == 0).any()
    assert pixels.std() > 10


def test_cameras_differ_in_scene_and_cast_and_prefer_a_view() -> None:
    cameras = [Camera.sample(2, number) for number in range(1, 9)]
    assert {camera.scene for camera in cameras} == set(SCENES)
    assert len({camera.cast for camera in cameras}) == len(CASTS)
    assert {camera.view for camera in cameras} == set(VIEWS)
    rng = stream(0, "test")
    yaws = np.array([cameras[0].yaw(rng) for _ in range(600)])
    near = np.cos(yaws - VIEWS[cameras[0].view]) > np.cos(np.pi / 4)
    assert near.mean() == pytest.approx(PREFERENCE, abs=0.08)


def test_every_sampled_pattern_and_print_can_be_drawn() -> None:
    assert set(PATTERNS) - {"plain"} == set(DRAWN_PATTERNS)
    assert set(PRINTS) - {"none"} == set(DRAWN_PRINTS)


def colours(pixels: np.ndarray) -> np.ndarray:
    """Return the mean colours of upper and lower body, relative to the image's mean to reduce the cast."""
    small = np.asarray(Image.fromarray(pixels).resize((16, 32), Image.Resampling.BOX), np.float32)
    parts = [small[6:12, 6:10], small[18:25, 6:10]]
    tint = small.mean((0, 1))
    return np.concatenate([part.reshape(-1, 3).mean(0) / tint for part in parts])


def test_a_person_is_nearer_to_itself_than_to_others_across_cameras() -> None:
    persons = [identity for identity in range(1, 60) if Person.sample(8, identity).like is None]
    one, other = (np.array([colours(image(8, p, camera, 0, SMALL).pixels) for p in persons]) for camera in (1, 2))
    distances = np.linalg.norm(one[:, None] - other[None], axis=2)
    same = np.diag(distances)
    different = distances[~np.eye(len(persons), dtype=bool)]
    assert np.median(same) < 0.6 * np.median(different)
    assert np.mean(distances.argmin(1) == np.arange(len(persons))) > 5 / len(persons)
