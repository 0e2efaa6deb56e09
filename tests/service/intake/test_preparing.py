"""Images on their way in: crops and boxes of frames, good, known, refused, and hostile ones."""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vitreid.bundle import ImageLimits, ImageSpec, decoded, read_image, resize_to_spec
from vitreid.service.intake import preparing as intake
from vitreid.service.intake.boxes import PersonBox, box_hash
from vitreid.service.intake.labels import Label
from vitreid.service.intake.outcomes import Duplicate, InvalidBox, Prepared, QualityRejected, SkippedFile
from vitreid.service.intake.preparing import ImageSource, IntakePolicy, LoadedImage, chunked, prepare_image

SPEC = ImageSpec(height=64, width=32)
LIMITS = ImageLimits(max_pixels=1_000_000)


def prepare(image: Image.Image) -> NDArray[np.uint8]:
    return resize_to_spec(image, SPEC)


POLICY = IntakePolicy(prepare, LIMITS)


def image_of(
    name: str, content: bytes, label: Label | None = None, boxes: Sequence[PersonBox] | None = None
) -> LoadedImage:
    return LoadedImage(ImageSource(name, lambda: content, label=label or Label(), boxes=boxes), content)


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def test_a_crop_becomes_one_item() -> None:
    image = noise(80, 40)
    content = encoded(image)
    label = Label("anna", "gate", "t1", metadata={"lamp": 1})
    [found] = prepare_image(image_of("a.png", content, label), POLICY)
    assert isinstance(found, Prepared)
    assert (found.provenance.name, found.provenance.label, found.box) == ("a.png", label, None)
    assert found.image_hash == hashlib.sha256(content).hexdigest()
    assert (found.quality.height, found.quality.width, found.quality.outside) == (80, 40, 0.0)
    np.testing.assert_array_equal(found.pixels, prepare(image))
    assert found.image is not None
    assert read_image(found.image).size == (40, 80)


def test_boxes_become_items_as_their_crops_would() -> None:
    frame = noise(120, 200)
    boxes = [PersonBox((10, 20, 50, 100), Label("anna")), PersonBox((-20, 20, 20, 100), Label(track_id="7"))]
    image = image_of("f.png", encoded(frame), Label("ignored"), boxes)
    first, second = prepare_image(image, POLICY)
    assert isinstance(first, Prepared)
    assert isinstance(second, Prepared)
    for found, box, part in ((first, boxes[0], (10, 20, 50, 100)), (second, boxes[1], (0, 20, 20, 100))):
        [alone] = prepare_image(image_of("f.png", encoded(frame.crop(part))), POLICY)
        assert isinstance(alone, Prepared)
        np.testing.assert_array_equal(found.pixels, alone.pixels)
        assert found.image == alone.image
        assert (found.provenance.label, found.box, found.provenance.name) == (box.label, box.box, "f.png")
        assert found.image_hash == box_hash(hashlib.sha256(image.content).hexdigest(), box.box)
        assert found.quality.sharpness == alone.quality.sharpness
    assert (first.quality.outside, second.quality.outside, second.quality.width) == (0.0, 0.5, 20)


def test_boxes_are_of_the_upright_frame() -> None:
    upright = noise(60, 100)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right by 90 degrees to see it upright
    content = encoded(upright.rotate(90, expand=True), exif=exif)
    [found] = prepare_image(image_of("f.png", content, boxes=[PersonBox((60, 10, 100, 60))]), POLICY)
    assert isinstance(found, Prepared)
    np.testing.assert_array_equal(found.pixels, prepare(upright.crop((60, 10, 100, 60))))


def test_a_bad_box_fails_alone() -> None:
    nan = float("nan")
    edges = [(0, 0, 20, 40), (nan, 0, 20, 40), (300, 0, 320, 40), (0, 0, 20, 40), (0, 0, 3, 40)]
    found = prepare_image(image_of("f.png", encoded(noise(50, 50)), boxes=[PersonBox(box) for box in edges]), POLICY)
    assert [type(each) for each in found] == [Prepared, InvalidBox, InvalidBox, Prepared, InvalidBox]
    reasons = [each.reason for each in found if isinstance(each, InvalidBox)]
    assert [("numbers" in reasons[0]), ("outside" in reasons[1]), ("3 x 40" in reasons[2])] == [True] * 3


def test_quality_outside_of_its_ranges_is_rejected() -> None:
    rules = IntakePolicy(prepare, LIMITS, reject={"height": (50, None), "outside": (None, 0.2)})
    boxes = [PersonBox(edges, Label(camera_id="gate")) for edges in ((0, 0, 30, 60), (0, 0, 30, 40), (-30, 0, 30, 60))]
    found = prepare_image(image_of("f.png", encoded(noise(80, 80)), boxes=boxes), rules)
    assert [type(each) for each in found] == [Prepared, QualityRejected, QualityRejected]
    assert [
        (each.provenance.label.camera_id, each.violation.rule) for each in found if isinstance(each, QualityRejected)
    ] == [
        ("gate", "min_height"),
        ("gate", "max_outside"),
    ]
    assert isinstance(prepare_image(image_of("c.png", encoded(noise(49, 30))), rules)[0], QualityRejected)


def test_images_can_be_left_out() -> None:
    [found] = prepare_image(
        image_of("c.png", encoded(noise(40, 20))), IntakePolicy(prepare, LIMITS, store_images=False)
    )
    assert isinstance(found, Prepared)
    assert found.image is None


def test_a_frame_is_decoded_once_and_not_at_all_where_all_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str | None] = []

    def counting(content: bytes, limits: ImageLimits, *, name: str | None) -> AbstractContextManager[Image.Image]:
        names.append(name)
        return decoded(content, limits, name=name)

    monkeypatch.setattr(intake, "decoded", counting)
    image = image_of("f.png", encoded(noise(50, 50)), boxes=[PersonBox((x, 0, x + 20, 40)) for x in range(20)])
    assert len(prepare_image(image, POLICY)) == 20
    assert names == ["f.png"]
    assert [type(each) for each in prepare_image(image, POLICY, dict.fromkeys(image.hashes[1:], 7))] == [Prepared] + [
        Duplicate
    ] * 19
    assert names == ["f.png"] * 2
    known = {each: at for at, each in enumerate(image.hashes)}
    found = prepare_image(image, POLICY, known)
    assert [(each.image_hash, each.item_id) for each in found if isinstance(each, Duplicate)] == list(known.items())
    assert prepare_image(image_of("none.png", b"no image", boxes=[]), POLICY) == []
    assert names == ["f.png"] * 2


def test_an_item_keeps_all_that_is_known() -> None:
    label = Label("anna", "gate", "t1", metadata={"lamp": 1})
    box = PersonBox((0, 0, 20, 40), label)
    [found] = prepare_image(image_of("f.png", encoded(noise(50, 50)), boxes=[box]), POLICY)
    assert isinstance(found, Prepared)
    item = found.item(np.ones(3, dtype=np.float32), "c1")
    assert (item.camera_id, item.model_camera, item.person_id, item.track_id) == ("gate", "c1", "anna", "t1")
    assert (item.box, item.quality, item.source, item.metadata) == (box.box, found.quality, "f.png", {"lamp": 1})
    assert (item.image_hash, item.image) == (found.image_hash, found.image)


def test_chunks_are_small_in_items_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MAX_CHUNK_BYTES", 10)
    sizes = [(1, 4), (1, 4), (1, 4), (1, 99), *[(1, 0)] * 5, (7, 1), (0, 0), (1, 0)]
    assert [list(part) for part in chunked(sizes, lambda size: size, max_items=4)] == [
        [(1, 4), (1, 4)],
        [(1, 4)],
        [(1, 99)],
        [(1, 0)] * 4,
        [(1, 0)],
        [(7, 1)],
        [(0, 0), (1, 0)],
    ]
    assert list(chunked([], lambda size: size, max_items=4)) == []


def bases() -> dict[str, bytes]:
    """One small image of every kind that is taken."""
    image, other = noise(24, 16), noise(24, 16, 1)
    exif = Image.Exif()
    exif[0x0112] = 8
    exif[0x010E] = "a description"
    palette = image.quantize(16)
    deep = Image.fromarray(np.random.default_rng(2).integers(0, 2**16, (24, 16), dtype=np.uint16))
    return {
        "jpeg": encoded(image, "JPEG", quality=80),
        "progressive jpeg": encoded(image, "JPEG", progressive=True),
        "cmyk jpeg": encoded(image.convert("CMYK"), "JPEG"),
        "grey jpeg": encoded(image.convert("L"), "JPEG"),
        "rotated jpeg": encoded(image, "JPEG", exif=exif, comment=b"a comment"),
        "png": encoded(image),
        "deep png": encoded(deep),
        "palette png": encoded(palette, transparency=3),
        "alpha png": encoded(image.convert("RGBA"), exif=exif),
        "animated png": encoded(image, save_all=True, append_images=[other]),
        "webp": encoded(image, "WEBP", quality=70),
        "lossless webp": encoded(image, "WEBP", lossless=True, exif=exif),
        "animated webp": encoded(image, "WEBP", save_all=True, append_images=[other]),
    }


def flip_bits(content: bytearray, random: np.random.Generator) -> bytearray:
    for at in random.integers(0, len(content), random.integers(1, 9)):
        content[at] ^= 1 << random.integers(8)
    return content


def truncate(content: bytearray, random: np.random.Generator) -> bytearray:
    return content[: random.integers(len(content))]


def edit_header(content: bytearray, random: np.random.Generator) -> bytearray:
    at = int(random.integers(64))
    content[at : at + 4] = struct.pack(">I", random.choice([0, 1, 255, 2**16 - 1, 2**31 - 1, 2**32 - 1]))
    return content


def repeat(content: bytearray, random: np.random.Generator) -> bytearray:
    start, end = sorted(random.integers(0, len(content), 2))
    return content[:end] + content[start:end] * int(random.integers(1, 9)) + content[end:]


def fix_png(content: bytearray, random: np.random.Generator) -> bytearray:
    """Flip bits inside of PNG chunks and make their checksums right again, so that the flips reach the decoder."""
    flipped = flip_bits(content, random)
    if bytes(flipped[:8]) != b"\x89PNG\r\n\x1a\n":
        return flipped
    at = 8
    while at + 12 <= len(flipped):
        (length,) = struct.unpack(">I", flipped[at : at + 4])
        end = at + 8 + length
        if end + 4 > len(flipped):
            break
        flipped[end : end + 4] = struct.pack(">I", zlib.crc32(flipped[at + 4 : end]))
        at = end + 4
    return flipped


MUTATIONS: tuple[Callable[[bytearray, np.random.Generator], bytearray], ...] = (
    flip_bits,
    truncate,
    edit_header,
    repeat,
    fix_png,
)
ROUNDS = 78  # of every mutation for every kind, and as many splices


def mutants() -> Iterator[bytes]:
    random = np.random.default_rng(606)
    every = [bytearray(content) for content in bases().values()]
    for _ in range(ROUNDS):
        for content in every:
            for mutation in MUTATIONS:
                yield bytes(mutation(bytearray(content), random))
            other = every[random.integers(len(every))]
            yield bytes(content[: random.integers(len(content))] + other[random.integers(len(other)) :])


@pytest.mark.parametrize("kind", bases())
def test_every_kind_is_taken(kind: str) -> None:
    [found] = prepare_image(image_of(kind, bases()[kind]), POLICY)
    assert isinstance(found, Prepared)
    rotated = bases()[kind].find(b"a description") >= 0
    assert (found.quality.height, found.quality.width) == ((16, 24) if rotated else (24, 16))


@pytest.mark.slow
def test_mutated_images_get_typed_answers() -> None:
    boxes = [PersonBox((0, 0, 12, 20)), PersonBox((5, 5, 90, 90))]
    outcomes: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in production: Pillow warns of odd EXIF and palettes
        for number, content in enumerate(mutants()):
            outcomes[_outcome(image_of("odd", content, boxes=boxes if number % 2 else None))] += 1
    assert sum(outcomes.values()) >= 5000
    assert set(outcomes) == {"taken", "refused"}
    assert min(outcomes.values()) > 500


def _outcome(image: LoadedImage) -> str:
    found = prepare_image(image, POLICY)
    if isinstance(skipped := found[0], SkippedFile):
        assert len(found) == 1
        assert skipped.path == "odd"
        assert skipped.items == len(image.hashes)
        assert "\n" not in skipped.reason
        assert len(skipped.reason) < 500
        return "refused"
    assert len(found) == len(image.hashes)
    for each in found:
        assert isinstance(each, Prepared | InvalidBox)
        if isinstance(each, Prepared):
            assert each.pixels.shape == (64, 32, 3)
            assert each.image is not None
            assert max(read_image(each.image).size) <= 512
    return "taken"


def bomb(kind: str, width: int, height: int) -> bytes:
    """An image whose header says that it is huge."""
    content = bytearray(bases()[kind])
    if kind == "png":
        content[16:24] = struct.pack(">II", width, height)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    else:
        at = content.find(b"\xff\xc0")
        content[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(content)


@pytest.mark.parametrize(
    ("kind", "width", "height"), [("png", 40_000, 40_000), ("png", 2**31 - 1, 2**31 - 1), ("jpeg", 65_500, 65_500)]
)
def test_bombs_are_refused_by_their_header(kind: str, width: int, height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.Image.core.new", lambda *_: pytest.fail("memory was taken for the pixels"))
    [found] = prepare_image(image_of("bomb", bomb(kind, width, height)), POLICY)
    assert isinstance(found, SkippedFile)
    assert "pixels; at most 1,000,000 are allowed" in found.reason
