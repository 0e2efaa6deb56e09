"""`vitreid export calibrate` on images of made persons: what is kept, what is drawn, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.commands import vitreid
from tests.paths import REPOSITORY
from vitreid import cli
from vitreid.bundle import Bundle, Calibration
from vitreid.export.errors import ExportError
from vitreid.training.datasets import read_dataset
from vitreid.training.evaluation.embed import embed_split, open_retrieval_model


def draw_people(folder: Path, *, persons: int = 12, cameras: int = 3, noise: float = 60.0, seed: int = 0) -> Path:
    """Persons of their own colours in Market-1501's layout: one query and two gallery images by each camera."""
    random = np.random.default_rng(seed)
    for part in ("bounding_box_train", "query", "bounding_box_test"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for person in range(1, persons + 1):
        own = random.integers(0, 256, (8, 4, 3))
        for camera in range(1, cameras + 1):
            for number, part in enumerate(("query", "bounding_box_test", "bounding_box_test")):
                cells = np.clip(own + random.normal(0, noise, own.shape), 0, 255).astype(np.uint8)
                image = Image.fromarray(cells).resize((32, 64), Image.Resampling.NEAREST)
                image.save(folder / part / f"{person:04d}_c{camera}s1_{number:06d}_00.png")
    return folder


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_people(tmp_path_factory.mktemp("data") / "site")


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def call(*arguments: Any) -> str:
    done = vitreid("export", "calibrate", *arguments)
    if isinstance(done.exception, Exception):
        raise done.exception
    assert done.exit_code == 0
    return done.stdout


def calibrated(bundle: Path) -> Calibration:
    found = Bundle.open(bundle).manifest.calibration
    assert found is not None
    return found


def test_it_is_kept_with_what_it_was_measured_on(bundle: Path, people: Path) -> None:
    before = Bundle.open(bundle).manifest
    told = json.loads(call(bundle, "--data", people, "--json"))
    manifest = Bundle.open(bundle).manifest
    found = calibrated(bundle)
    assert told == {"bundle": str(bundle), "calibration": json.loads(found.model_dump_json())}
    assert manifest.model_copy(update={"calibration": None}) == before
    assert (found.bundle_id, found.data.name, found.data.dataset) == (before.bundle_id, "site", "market1501")
    assert (found.data.images, found.data.cameras, found.data.uses_model_cameras) == (108, ("c1", "c2", "c3"), True)
    # 12 persons with 3 images by each of 3 cameras
    assert found.data.pairs.model_dump() == {"persons": 12, "same": 12 * 27, "different": 12 * 11 * 27}
    assert found.prior == pytest.approx(1 / 12)
    assert [each.cameras for each in found.thresholds] == [None, ("c1", "c2"), ("c1", "c3"), ("c2", "c3")]
    assert found.thresholds[0].unmeasured_rates == (0.001, 0.0001)
    assert set(found.log_loss_by_method) == {"isotonic", "logistic"}
    assert found.log_loss_by_method[found.method] == found.held_out.log_loss == min(found.log_loss_by_method.values())
    assert found.held_out.log_loss < found.held_out.base_log_loss


@pytest.mark.slow
def test_probabilities_are_about_what_they_say(bundle: Path, people: Path, tmp_path: Path) -> None:
    """Other persons, seen just as often: there are about as many pairs of one person as their probabilities add to."""
    call(bundle, "--data", people)
    others = draw_people(tmp_path / "others", seed=1)
    query, gallery = embed_split(read_dataset("market1501", others), open_retrieval_model(bundle))
    predicted, shown = [], []
    for row, scores in enumerate(query.embeddings @ gallery.embeddings.T):
        across = gallery.cameras != query.cameras[row]
        predicted += [calibrated(bundle).probability(score) for score in scores[across].tolist()]
        shown += (gallery.persons[across] == query.persons[row]).tolist()
    assert sum(predicted) == pytest.approx(sum(shown), rel=0.15)
    loss = -np.mean(np.log(np.where(shown, predicted, 1 - np.array(predicted))))
    share = np.mean(shown)
    assert loss < 0.6 * -(share * np.log(share) + (1 - share) * np.log(1 - share))


def test_another_prior_and_method_take_the_place_of_the_former(bundle: Path, people: Path) -> None:
    call(bundle, "--data", people, "--method", "isotonic")
    usual = calibrated(bundle)
    told = call(bundle, "--data", people, "--method", "isotonic", "--prior", 0.0001)
    assert "where 0.01% of all such pairs do" in told
    rare = calibrated(bundle)
    assert (usual.method, rare.method, list(rare.log_loss_by_method)) == ("isotonic", "isotonic", ["isotonic"])
    assert rare.prior == 0.0001
    assert [ratio for _, ratio in rare.knots] == pytest.approx([ratio for _, ratio in usual.knots], abs=1e-5)
    assert rare.probability(0.9) < usual.probability(0.9)
    assert rare.thresholds == usual.thresholds  # rates among pairs of different persons know no prior


def test_cameras_that_the_model_did_not_learn(bundle: Path, people: Path) -> None:
    call(bundle, "--data", people, "--other-cameras")
    assert calibrated(bundle).data.uses_model_cameras is False


def test_drawn_people_are_a_domain_of_their_own(bundle: Path, people: Path, tmp_path: Path) -> None:
    """The starter's calibration is of it, too, so that photographs get no probability from either."""
    call(bundle, "--data", people)
    assert calibrated(bundle).data.domain is None
    drawn = shutil.copytree(people, tmp_path / "drawn")
    (drawn / "synthetic.json").write_text("{}")
    call(bundle, "--data", drawn)
    assert calibrated(bundle).data.domain == "drawn"
    starter = Bundle.open(REPOSITORY / "service" / "starter").manifest.calibration
    assert starter is not None
    assert starter.data.domain == "drawn"


def test_what_is_printed(bundle: Path, people: Path) -> None:
    lines = call(bundle, "--data", people).splitlines()
    found = calibrated(bundle)
    assert lines[0].startswith(f"calibrated by {found.method} on site (market1501): 108 images, 324 pairs of one")
    assert "where 8.333% of all such pairs do" in lines[1]
    assert lines[2].startswith("12 persons, each half scored by a fit on the other: log loss")
    [overall] = [line for line in lines if line.startswith("thresholds for all pairs")]
    assert overall == "thresholds for all pairs: 324 pairs of one person by two cameras and 3,564 of different persons"
    assert [line.split()[:4] for line in lines[-7:-5]] == [
        [rate, "too", "few", "pairs"] for rate in ("0.001", "0.0001")
    ]
    at = found.thresholds[2].at[0]
    assert [cell.strip() for cell in lines[-2].split("  ") if cell.strip()] == [
        "c1 and c3",
        f"{at.score:.4f}: {at.true_matches.value:.1%} ({at.true_matches.low:.1%} to {at.true_matches.high:.1%})",
        "too few pairs",
        "too few pairs",
    ]


@pytest.mark.slow
def test_a_reliability_diagram(bundle: Path, people: Path, tmp_path: Path) -> None:
    call(bundle, "--data", people, "--plot", tmp_path / "reliability.png")
    with Image.open(tmp_path / "reliability.png") as drawn:
        assert drawn.size == (1440, 480)
        assert len(drawn.convert("RGB").getcolors(2**20) or ()) > 50


@pytest.mark.slow
def test_a_diagram_that_the_disk_refuses(
    bundle: Path, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(out: Path, content: bytes) -> None:
        with out.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ExportError, match=r"reliability\.png cannot be written \(No space .* bundle itself is"):
        call(bundle, "--data", people, "--plot", tmp_path / "reliability.png")
    assert not (tmp_path / "reliability.png").exists()
    assert calibrated(bundle).data.name == "site"


def refused(capsys: pytest.CaptureFixture[str], bundle: Path, *arguments: Any) -> str:
    """The one line of an error after which the manifest is as it was."""
    before = (bundle / "manifest.json").read_bytes() if bundle.is_dir() else b""
    capsys.readouterr()
    assert cli.run(["export", "calibrate", str(bundle), *map(str, arguments)]) == 2
    lines = capsys.readouterr().err.splitlines()
    [told] = [line for line in lines if not line.startswith("note: ")]  # no empty one either
    assert ((bundle / "manifest.json").read_bytes() if bundle.is_dir() else b"") == before
    return told


def images_of(people: Path, folder: Path, *patterns: str) -> Path:
    """A data set of the images whose names fit one of some patterns."""
    for part in ("query", "bounding_box_test"):
        (folder / part).mkdir(parents=True)
        for pattern in patterns:
            for image in (people / part).glob(pattern):
                shutil.copy(image, folder / part)
    return folder


@pytest.mark.parametrize(
    ("patterns", "told"),
    [
        (["*_c1s1_*"], "all 36 images are from camera c1"),
        (["0001_*"], "half of the persons (1) have"),
        (["0001_*_c?s1*", "0002_*", "0003_*"], "needs 10 of each in each half"),
    ],
)
def test_too_little_data(
    capsys: pytest.CaptureFixture[str], bundle: Path, people: Path, tmp_path: Path, patterns: list[str], told: str
) -> None:
    assert told in refused(capsys, bundle, "--data", images_of(people, tmp_path / "few", *patterns))


@pytest.mark.parametrize(("part", "told"), [("query", "has no query images"), ("bounding_box_test", "has no gallery")])
def test_no_query_or_no_gallery(
    capsys: pytest.CaptureFixture[str], bundle: Path, people: Path, tmp_path: Path, part: str, told: str
) -> None:
    data = Path(shutil.copytree(people, tmp_path / "part"))
    shutil.rmtree(data / part)
    assert told in refused(capsys, bundle, "--data", data)


def test_images_that_do_not_say_their_camera(
    capsys: pytest.CaptureFixture[str], bundle: Path, people: Path, tmp_path: Path
) -> None:
    for number, image in enumerate(sorted((people / "query").iterdir())):
        place = tmp_path / "named" / ("query" if number % 2 else "gallery") / image.name[:4]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, place / f"{number}.png")
    told = refused(capsys, bundle, "--data", tmp_path / "named", "--dataset", "folders")
    assert "none of the 18 query images has a camera" in told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--method", "guess"], "there is no method 'guess'; take one of isotonic, logistic"),
        (["--prior", "0"], "prior 0.0 is not between 0 and 1"),
        (["--prior", "1.5"], "prior 1.5"),
        (["--dataset", "nothing"], "there is no data set 'nothing'"),
        (["--plot", "image.jpg"], "--plot image.jpg must be a file named *.png"),
        (["--plot", "/nowhere/at/all.png"], "--plot /nowhere/at/all.png"),
        (["--plot", "FOLDER.png"], "FOLDER.png must be a file named *.png"),
    ],
)
def test_options_outside_of_what_is_allowed(
    capsys: pytest.CaptureFixture[str], bundle: Path, people: Path, tmp_path: Path, options: list[str], told: str
) -> None:
    (tmp_path / "FOLDER.png").mkdir()
    options = [option.replace("FOLDER", str(tmp_path / "FOLDER")) for option in options]
    assert told in refused(capsys, bundle, "--data", people, *options)


def test_data_or_a_bundle_that_is_not_there(
    capsys: pytest.CaptureFixture[str], bundle: Path, people: Path, tmp_path: Path
) -> None:
    assert "nowhere is not a folder" in refused(capsys, bundle, "--data", tmp_path / "nowhere")
    assert "is not a bundle" in refused(capsys, tmp_path / "nowhere", "--data", people)


def test_a_model_to_which_nobody_is_like_themselves(
    capsys: pytest.CaptureFixture[str], bundle: Path, people: Path, tmp_path: Path
) -> None:
    data = tmp_path / "shuffled"
    for part in ("query", "bounding_box_test"):
        (data / part).mkdir(parents=True)
        for number, image in enumerate(sorted((people / part).iterdir())):
            camera = image.name[4:9]
            shutil.copy(image, data / part / f"{number * 7 % 12 + 1:04d}{camera}_{number:06d}_00.png")
    told = refused(capsys, bundle, "--data", data)
    assert "do not score higher" in told


def test_a_damaged_bundle(capsys: pytest.CaptureFixture[str], bundle: Path, people: Path) -> None:
    call(bundle, "--data", people)
    model = bundle / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1])
    assert "model.onnx has" in refused(capsys, bundle, "--data", people)


@pytest.mark.parametrize("change", [{"bundle_id": "0" * 64}, {"knots": [[0.5, 1.0], [0.4, 2.0]]}])
def test_a_calibration_that_was_edited_by_hand(
    capsys: pytest.CaptureFixture[str], bundle: Path, people: Path, change: dict[str, Any]
) -> None:
    call(bundle, "--data", people)
    file = bundle / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["calibration"] |= change
    file.write_text(json.dumps(manifest))
    assert "calibrat" in refused(capsys, bundle, "--data", people)


def test_the_model_on_real_people(real_people: Path, bundle: Path) -> None:
    """Colours of cells hardly separate real people, and the calibration shows it."""
    call(bundle, "--data", real_people)
    found = calibrated(bundle)
    pairs = found.data.pairs
    people = {file.name.partition("_")[0] for file in (real_people / "query").glob("*.jpg")}
    assert pairs.persons == len(people)
    assert found.prior == pytest.approx(pairs.same / (pairs.same + pairs.different), rel=0.001)
    overall = found.thresholds[0]
    assert [at.false_match_rate for at in overall.at] == [0.01, 0.001, 0.0001]
    assert overall.at[0].true_matches.value > 0.01
    for at in overall.at:
        assert at.false_matches.value <= at.false_match_rate
        assert at.true_matches.low <= at.true_matches.value <= at.true_matches.high < 0.5
    assert found.held_out.calibration_error < 0.005
