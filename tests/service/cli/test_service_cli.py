"""The commands as a user types them: exit codes, one-line errors, resuming, stopping."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from tests.commands import vitreid
from tests.paths import REPOSITORY
from vitreid.bundle import (
    Bundle,
    BundleError,
    BundleRunner,
    ImageError,
    ImageSpec,
    OutputSpec,
    read_image,
    resize_to_spec,
)
from vitreid.bundle.errors import NamePatternError
from vitreid.service.api.server.serving import NotLoopback, bound_socket
from vitreid.service.errors import FolderNotFound, NoImages, ServiceError, TableError, UnknownName
from vitreid.service.gallery.errors import BundleMismatch, GalleryNotFound
from vitreid.service.intake import indexing
from vitreid.service.models.bundle_choice import NOTICE, BundleNeeded, StarterMissing

Make = Callable[..., bytes]


@pytest.fixture
def images(tmp_path: Path, make_image: Make) -> Path:
    """Six images of three persons by two cameras, in two folders."""
    for seed in range(6):
        file = tmp_path / "images" / f"part{seed % 2}" / f"{1 + seed % 3:04d}_c{1 + seed // 3}s1_000001_00.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(make_image(seed))
    return tmp_path / "images"


def error_of(result: Result, kind: type[Exception]) -> str:
    """The message of a typed error; `vitreid` prints it as one line and exits with 2."""
    assert isinstance(result.exception, kind), result.output
    assert getattr(result.exception, "exit_code", None) == 2
    message = str(result.exception)
    assert "\n" not in message
    return message


def test_index_adds_everything_once(images: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    gallery = tmp_path / "gallery"
    first = vitreid("index", images, "--gallery", gallery, "--bundle", tiny_bundle, "--json")
    again = vitreid("index", images, "--gallery", gallery, "--bundle", tiny_bundle, "--json")
    assert (first.exit_code, again.exit_code) == (0, 0)
    one, two = json.loads(first.stdout), json.loads(again.stdout)
    assert (one["added"], one["duplicates"], one["bad"]) == (6, 0, [])
    assert (two["added"], two["duplicates"]) == (0, 6)
    assert one["images_per_s"] > 0


def test_a_dry_run_leaves_nothing(images: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    result = vitreid("index", images, "--gallery", tmp_path / "gallery", "--bundle", tiny_bundle, "--dry-run")
    assert result.exit_code == 0
    assert "would add 6" in result.stdout
    assert not (tmp_path / "gallery").exists()


@pytest.mark.parametrize(("option", "exit_code"), [([], 1), (["--skip-bad"], 0)])
def test_unreadable_files_are_listed_and_the_others_indexed(
    images: Path, tmp_path: Path, tiny_bundle: Path, option: list[str], exit_code: int
) -> None:
    (images / "text.jpg").write_text("no image")
    (images / "empty.png").write_bytes(b"")
    result = vitreid("index", images, "--gallery", tmp_path / "gallery", "--bundle", tiny_bundle, *option)
    assert result.exit_code == exit_code
    assert "added 6" in result.stdout
    assert "text.jpg: is not an image" in result.stderr
    assert "empty.png: is empty" in result.stderr


def test_interrupting_index_names_the_remedy(
    images: Path, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(indexing, "index_folder", interrupted)
    result = vitreid("index", images, "--gallery", tmp_path / "gallery", "--bundle", tiny_bundle)
    assert result.exit_code == 130
    assert result.stderr.startswith("vitreid: interrupted; ")
    assert "run the same command again to resume" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_index_refuses_with_a_typed_error(images: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    options = ["--gallery", tmp_path / "gallery", "--bundle", tiny_bundle]
    assert "nowhere" in error_of(vitreid("index", tmp_path / "nowhere", *options), FolderNotFound)
    (tmp_path / "none").mkdir()
    error_of(vitreid("index", tmp_path / "none", *options), NoImages)
    assert not (tmp_path / "gallery").exists()
    error_of(
        vitreid("index", images, "--gallery", tmp_path / "gallery", "--bundle", tmp_path / "no-bundle"), BundleError
    )


def test_wrong_labels_are_refused_before_a_gallery_is_made(images: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    options = [images, "--gallery", tmp_path / "gallery", "--bundle", tiny_bundle]
    (tmp_path / "labels.csv").write_text("path,camera\npart0/0001_c1s1_000001_00.jpg,gate\n")
    printed = error_of(vitreid("index", *options, "--table", tmp_path / "labels.csv"), TableError)
    assert "the column 'camera' is called camera_id here" in printed
    printed = error_of(vitreid("index", *options, "--name-pattern", "{camera}-*"), NamePatternError)
    assert printed.startswith("6 of 6 names do not follow the name pattern")
    (tmp_path / "boxes.csv").write_text("path,left,top,right,bottom,timestamp\na.jpg,0,0,9,9,1\n")
    printed = error_of(vitreid("index", *options, "--boxes", tmp_path / "boxes.csv"), TableError)
    assert "'timestamp' is called captured_at here" in printed
    assert vitreid("index", *options, "--time-zone", "UTC").exit_code == 2
    assert not (tmp_path / "gallery").exists()


def test_index_shows_what_names_say_and_takes_labels_that_come_later(
    images: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    options = [images, "--gallery", tmp_path / "gallery", "--bundle", tiny_bundle]
    pattern = ["--name-pattern", "{track}/{person}_{camera}s1_*"]
    dry = vitreid("index", *options, *pattern, "--dry-run")
    assert "read 6 images: 3 persons (0 images without), 2 cameras (0 without), 2 tracks, times none" in dry.stdout
    assert "part0/0001_c1s1_000001_00.jpg: person_id 0001, camera_id c1, track_id part0" in dry.stdout
    assert vitreid("index", *options).exit_code == 0
    again = vitreid("index", *options, *pattern)
    assert "added 0 to" in again.stdout
    assert "6 there already (6 of them with another track_id; --relabel updates them)" in again.stdout
    taken = vitreid("index", *options, *pattern, "--relabel")
    assert "6 there already (6 of them relabelled)" in taken.stdout
    printed = json.loads(vitreid("index", *options, *pattern, "--json").stdout)
    assert (printed["differing"], printed["relabelled"], printed["labels"]["tracks"]) == ([], 0, 2)
    dated = vitreid("index", *options, "--name-pattern", "*/{time:%Y}*", "--dry-run")
    assert "without a day" in str(dated.exception)


def test_times_in_names_without_an_offset_are_said_to_be_utc(
    tmp_path: Path, make_image: Make, tiny_bundle: Path
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "gate_20260501_093000.jpg").write_bytes(make_image(1))
    options = [tmp_path / "images", "--gallery", tmp_path / "gallery", "--bundle", tiny_bundle, "--dry-run"]
    pattern = ["--name-pattern", "{camera}_{time:%Y%m%d_%H%M%S}"]
    found = vitreid("index", *options, *pattern)
    assert "taken as UTC; give --time-zone" in found.stderr
    assert "captured_at 2026-05-01T09:30:00+00:00" in found.stdout
    found = vitreid("index", *options, *pattern, "--time-zone", "Europe/Berlin")
    assert "UTC" not in found.stderr
    assert "captured_at 2026-05-01T07:30:00+00:00" in found.stdout


def test_a_bundle_of_another_model_is_refused(images: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    other = Bundle.save(
        tmp_path / "other",
        tiny_bundle / "model.onnx",
        name="other",
        image=ImageSpec(height=64, width=32),
        output=OutputSpec(dimension=48),
        cameras=("c1", "c2", "c3"),
    )
    gallery = tmp_path / "gallery"
    assert vitreid("index", images, "--gallery", gallery, "--bundle", tiny_bundle).exit_code == 0
    for command in (["index", images], ["query", next(images.rglob("*.jpg"))]):
        error_of(vitreid(*command, "--gallery", gallery, "--bundle", other.path), BundleMismatch)


def test_a_table_gives_labels(images: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    name = next(images.rglob("0003_c2*.jpg")).relative_to(images)
    table = tmp_path / "table.csv"
    table.write_text(f"path,person_id,camera_id,captured_at\n{name},anna,gate,2026-05-01T09:30:00Z\n")
    options = ["--gallery", tmp_path / "gallery", "--bundle", tiny_bundle]
    assert vitreid("index", images, *options, "--table", table).exit_code == 0
    [found] = json.loads(vitreid("query", images / name, *options, "-k", 1, "--json").stdout)["queries"]
    match = found["matches"][0]
    assert (match["person_id"], match["camera_id"]) == ("anna", "gate")
    assert match["captured_at"] == "2026-05-01T09:30:00Z"


def test_query_answers_each_image_on_its_own(images: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    options = ["--gallery", tmp_path / "gallery", "--bundle", tiny_bundle]
    assert vitreid("index", images, *options).exit_code == 0
    chosen = sorted(images.rglob("*.jpg"))[:2]
    result = vitreid("query", *chosen, *options, "-k", 3, "--json")
    answers = json.loads(result.stdout)["queries"]
    assert [answer["image"] for answer in answers] == [str(path) for path in chosen]
    for path, answer in zip(chosen, answers, strict=True):
        assert answer["camera_id"] == path.name[5:7]
        assert answer["matches"][0]["source"] == path.relative_to(images).as_posix()
        assert [match["rank"] for match in answer["matches"]] == [1, 2, 3]
    tables = vitreid("query", *chosen, *options, "-k", 3).stdout
    assert tables.count("rank") == 2
    assert "a human decides" in " ".join(tables.split())


def test_query_names_unreadable_images(images: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    options = ["--gallery", tmp_path / "gallery", "--bundle", tiny_bundle]
    assert vitreid("index", images, *options).exit_code == 0
    bad, good = tmp_path / "bad.jpg", next(images.rglob("*.jpg"))
    bad.write_text("no image")
    mixed = vitreid("query", bad, good, *options, "--json")
    assert mixed.exit_code == 1
    assert "bad.jpg: is not an image" in mixed.stderr
    assert len(json.loads(mixed.stdout)["queries"][1]["matches"]) == 6
    assert "bad.jpg" in error_of(vitreid("query", bad, *options), ImageError)


def test_query_makes_no_gallery(images: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    image = next(images.rglob("*.jpg"))
    error_of(vitreid("query", image, "--gallery", tmp_path / "none", "--bundle", tiny_bundle), GalleryNotFound)
    assert not (tmp_path / "none").exists()
    assert vitreid("query", image, "--gallery", tmp_path, "-k", 0).exit_code == 2


def test_embed_writes_what_the_reference_runner_gives(images: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    (images / "bad.jpg").write_text("no image")
    out = tmp_path / "out.npz"
    result = vitreid("embed", images, "--bundle", tiny_bundle, "--out", out, "--skip-bad", "--batch-size", 4)
    assert result.exit_code == 0
    with np.load(out, allow_pickle=False) as arrays:
        paths, embeddings = arrays["path"].tolist(), arrays["embedding"]
    assert paths == sorted(path.relative_to(images).as_posix() for path in images.rglob("0*.jpg"))
    bundle = Bundle.open(tiny_bundle)
    pixels = np.stack([resize_to_spec(read_image(images / path), bundle.manifest.image) for path in paths])
    cameras = np.array([bundle.manifest.camera_index(Path(path).name[5:7]) for path in paths])
    np.testing.assert_allclose(embeddings, BundleRunner(bundle, threads=1).run(pixels, cameras), atol=1e-6)
    assert [path.name for path in tmp_path.iterdir() if "tmp" in path.name] == []


def test_commands_run_the_model_as_the_settings_say(
    images: Path, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for runtime in ("onnx", "openvino", "fake"):
        monkeypatch.setenv("VITREID_RUNTIME", runtime)
        out = tmp_path / f"{runtime}.npz"
        assert vitreid("embed", images, "--bundle", tiny_bundle, "--out", out).exit_code == 0
        with np.load(out, allow_pickle=False) as arrays:
            found[runtime] = arrays["embedding"]
    np.testing.assert_allclose(found["openvino"], found["onnx"], atol=1e-6)
    assert np.abs(found["fake"] - found["onnx"]).max() > 0.1
    monkeypatch.setenv("VITREID_RUNTIME", "onnx")
    monkeypatch.setenv("VITREID_PROVIDER", "gpu")
    out = tmp_path / "none.npz"
    assert "'gpu'" in error_of(vitreid("embed", images, "--bundle", tiny_bundle, "--out", out), UnknownName)


def test_embed_refuses_places_it_cannot_write_to(images: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    for out in (tmp_path / "none" / "out.npz", tmp_path / "out.txt"):
        assert str(out) in error_of(vitreid("embed", images, "--bundle", tiny_bundle, "--out", out), ServiceError)


def test_without_a_bundle_the_starter_is_used_and_named(
    images: Path, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitreid.service.models.bundle_choice.STARTER", tiny_bundle)
    result = vitreid("index", images, "--gallery", tmp_path / "gallery")
    assert result.exit_code == 0
    assert result.stderr.splitlines()[0] == f"note: {NOTICE}"
    copied = shutil.copytree(tiny_bundle, tmp_path / "copied")
    result = vitreid("index", images, "--gallery", tmp_path / "gallery", "--bundle", copied)
    assert result.stderr.splitlines()[0] == f"note: {NOTICE}"
    monkeypatch.setattr("vitreid.service.models.bundle_choice.STARTER", tmp_path / "none")
    assert "--bundle" in error_of(vitreid("index", images, "--gallery", tmp_path / "another"), StarterMissing)
    assert "--bundle" in error_of(vitreid("index", images, "--gallery", tmp_path / "gallery"), BundleNeeded)


def test_show_config_prints_every_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITREID_PORT", "8123")
    result = vitreid("serve", "--show-config", "--host", "::1")
    lines = dict(line.split("  #")[0].strip().split("=", 1) for line in result.stdout.splitlines())
    assert (lines["VITREID_PORT"], lines["VITREID_HOST"], lines["VITREID_BUNDLE"]) == ("8123", "::1", "")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.com"])
def test_serve_refuses_addresses_that_others_can_reach(host: str, tmp_path: Path, tiny_bundle: Path) -> None:
    result = vitreid("serve", "--data", tmp_path, "--bundle", tiny_bundle, "--host", host, "--port", 0)
    assert "--insecure" in error_of(result, NotLoopback)


def test_serve_names_a_taken_port_before_it_loads_anything(tmp_path: Path) -> None:
    with bound_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        result = vitreid("serve", "--data", tmp_path, "--bundle", tmp_path / "no-bundle", "--port", port)
    assert f"127.0.0.1:{port}" in error_of(result, ServiceError)


def start(*arguments: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONWARNINGS": "error", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "vitreid", *map(str, arguments)],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def log_until(process: subprocess.Popen[str], message: str) -> dict[str, Any]:
    """The first line of a process's log whose message begins so."""
    assert process.stderr is not None
    for line in process.stderr:
        logged: dict[str, Any] = json.loads(line)
        if logged["message"].startswith(message):
            return logged
    raise AssertionError(f"the process ended without saying {message!r}")


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_answers_and_stops_on_a_signal(
    number: signal.Signals, tmp_path: Path, tiny_bundle: Path, free_port: int
) -> None:
    process = start("serve", "--data", tmp_path / "data", "--bundle", tiny_bundle, "--port", free_port)
    try:
        assert f"http://127.0.0.1:{free_port}" in log_until(process, "serving")["message"]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{free_port}/readyz", timeout=30) as answer:
            assert json.load(answer)["status"] == "ready"
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, stderr
    logged = [json.loads(line) for line in stderr.splitlines()]
    assert logged[-1]["message"] == "stopped"
    assert not any("traceback" in each for each in logged)


@pytest.mark.slow
def test_a_request_under_way_is_finished_before_the_service_stops(
    tmp_path: Path, tiny_bundle: Path, free_port: int, make_image: Make
) -> None:
    process = start("serve", "--data", tmp_path / "data", "--bundle", tiny_bundle, "--port", free_port)
    try:
        log_until(process, "serving")
        content = make_image(1)
        head = (
            "POST /v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", free_port), timeout=30) as connection:
            connection.sendall(head.encode() + content[:10])
            time.sleep(0.5)  # until the service has read the head
            process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            connection.sendall(content[10:])
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        _, stderr = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, stderr


def test_the_service_starts_without_torch(tmp_path: Path, tiny_bundle: Path) -> None:
    code = (
        "import sys, vitreid.service.cli.index, vitreid.service.cli.demo_steps;"
        "from pathlib import Path; from fastapi.testclient import TestClient;"
        "from vitreid.service.api.app import create_app; from vitreid.service.config import ServiceConfig;"
        f"config = ServiceConfig(data=Path({str(tmp_path)!r}), bundle=Path({str(tiny_bundle)!r}));"
        "client = TestClient(create_app(config)).__enter__(); assert client.get('/readyz').status_code == 200;"
        "found = {'torch', 'training', 'export', 'timm'} & set(sys.modules); assert not found, found"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_index_and_embed_list_what_they_ignored(tiny_bundle: Path, images: Path, tmp_path: Path) -> None:
    for number in range(12):
        (images / f"{number:02}.heic").write_bytes(b"")
    options = ["--bundle", str(tiny_bundle)]
    done = vitreid("index", images, "--gallery", tmp_path / "gallery", *options)
    assert "12 ignored (12 .heic):" in done.stderr
    assert "00.heic: is a .heic file; convert it to JPEG, PNG or WebP" in done.stderr
    assert "and 2 more; --json lists all" in done.stderr
    printed = json.loads(vitreid("embed", images, "--out", tmp_path / "e.npz", *options, "--json").stdout)
    assert [each["path"] for each in printed["ignored"]] == [f"{number:02}.heic" for number in range(12)]
