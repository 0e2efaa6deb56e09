"""The steps of `vitreid demo`: drawn people, a model, a gallery, a service, and a first query."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from socket import socket
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vitreid.bundle import Bundle, parse_market_name
from vitreid.bundle.extras import install_command
from vitreid.service.api.server.serving import STOP_SIGNALS, address_of, bound_socket, make_server, running
from vitreid.service.api.state import Service, open_service
from vitreid.service.config import ServiceConfig, load_config
from vitreid.service.errors import ServiceError
from vitreid.service.intake.folders import read_folder
from vitreid.service.intake.indexing import index_folder
from vitreid.service.models.bundle_choice import starter_path
from vitreid.synthetic import DatasetSummary, draw_dataset
from vitreid.terminal import progress_bar

HOST = "127.0.0.1"
PEOPLE, CAMERAS, IMAGES, SEED = 60, 6, 2, 606
"""Nobody drawn from this seed was in the training of the starter, which draws from others."""

TRAINING_PEOPLE, TRAINING_SEED = 200, 707
RECIPE = "starter-quick"
K = 10
ANSWER_S = 60
POLL_S = 0.2


class DemoError(ServiceError):
    """A step of the demo failed; its output is above."""

    slug = "demo"


def run_demo(data: Path, *, port: int | None, train: bool, serve: bool) -> None:
    """Draw, index, serve and query; then serve until SIGINT or SIGTERM unless `serve` is false.

    `port` None means that of the settings (VITREID_PORT). Steps whose results exist are skipped.
    Raises PortInUse before any work, DemoError, and the typed errors of the other packages.
    """
    started = perf_counter()
    if train:
        _check_training_installed()
    else:
        starter_path()  # a missing starter is reported before anything is drawn
    with bound_socket(HOST, load_config(port=port).port) as listener:
        people = _draw(data / "people")
        bundle = _trained_bundle(data / "training") if train else starter_path()
        # Bundles never mix in a gallery: each has a folder of its own.
        home = data / f"{'trained' if train else 'starter'}-{Bundle.open(bundle).manifest.bundle_id[:8]}"
        config = ServiceConfig(
            data=home, bundle=bundle if train else None, host=HOST, port=listener.getsockname()[1], log_level="warning"
        )
        with open_service(config) as service:
            service.gallery().change_settings(domain="drawn")  # so that the probabilities of drawn people hold
            _index(service, people)
            with running(make_server(config, service), listener):
                _first_query(people, listener)
                _say(f"first answer after {perf_counter() - started:.1f} s")
                if serve:
                    _invite(people, listener)
                    _wait_for_stop()
    if serve:
        _say("stopped")


def _draw(folder: Path) -> DatasetSummary:
    begin = perf_counter()
    with progress_bar("drawing") as progress:
        people = draw_dataset(folder, identities=PEOPLE, cameras=CAMERAS, images=IMAGES, seed=SEED, progress=progress)
    took = "there already" if people.reused else f"{perf_counter() - begin:.1f} s"
    _say(f"{PEOPLE} drawn people seen by {CAMERAS} cameras: {people.query + people.gallery} images ({took})")
    return people


def _index(service: Service, people: DatasetSummary) -> None:
    with progress_bar("indexing") as progress:
        images = read_folder(people.path / "bounding_box_test")
        report = index_folder(images, service.gallery(), service.embedder, progress=progress)
    name = "the starter bundle" if service.starter else f"the bundle {service.bundle.path}"
    took = f"{report.added} added, {report.images_per_s:,.0f} images/s" if report.added else "there already"
    _say(f"{len(service.gallery())} images indexed with {name} in {service.gallery().folder} ({took})")


def _first_query(people: DatasetSummary, listener: socket) -> None:
    image = _queries(people)[0]
    shown = parse_market_name(image.name)
    assert shown is not None  # drawn people have Market-1501 names
    answer = _ask(f"{address_of(listener)}/v1/query?k={K}&camera_id={shown.camera_id}", image)
    matches = answer["matches"]
    right = sum(match["person_id"] == shown.label for match in matches)
    table = Table(title=Text(f"candidates for {image.name}, most similar first"), title_justify="left")
    for heading in ("rank", "score", "person", "camera", "drawn truth", "source"):
        table.add_column(heading, justify="right" if heading in {"rank", "score"} else "left")
    for match in matches:
        same = match["person_id"] == shown.label
        table.add_row(
            str(match["rank"]),
            f"{match['score']:.3f}",
            match["person_id"],
            match["camera_id"],
            Text("same person", style="green") if same else Text("someone else", style="red"),
            match["source"],
        )
    Console().print(table)
    _say(f"{right} of {len(matches)} candidates show the same person; a score is a similarity, a human decides")


def _invite(people: DatasetSummary, listener: socket) -> None:
    address = address_of(listener)
    image = _queries(people)[1]
    _say(f"open {address}/ for the page, {address}/docs for the API, or paste:")
    print(f"  curl -s --data-binary @{image} -H 'Content-Type: image/jpeg' '{address}/v1/query?k=5'")
    _say("serving until Ctrl-C")


def _queries(people: DatasetSummary) -> list[Path]:
    return sorted((people.path / "query").glob("*.jpg"))


def _ask(address: str, image: Path) -> dict[str, Any]:
    request = urllib.request.Request(address, image.read_bytes(), {"Content-Type": "image/jpeg"})
    # The machine's proxy settings are for other machines than this one.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=ANSWER_S) as answer:
            content: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            raise DemoError(f"the first query failed: {json.load(error).get('detail', error.reason)}") from error
    except OSError as error:
        raise DemoError(f"the service at {address} does not answer ({error})") from error
    return content


def _wait_for_stop() -> None:
    stopped: list[int] = []  # no lock: a signal may interrupt the handler of another, and come just before a wait
    before = {number: signal.signal(number, lambda number, _: stopped.append(number)) for number in STOP_SIGNALS}
    try:
        while not stopped:
            time.sleep(POLL_S)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_training_installed() -> None:
    if importlib.util.find_spec("torch") is None:
        raise DemoError(f"--train needs the training packages; {install_command('train')}, or leave --train out")


def _trained_bundle(folder: Path) -> Path:
    """Make the model by the commands a user would type: the service itself never imports training."""
    people, run, bundle = folder / "people", folder / "run", folder / "bundle"
    drawing = {"identities": TRAINING_PEOPLE, "train": TRAINING_PEOPLE - 20, "cameras": CAMERAS, "images": 4}
    options = [str(part) for name, value in drawing.items() for part in (f"--{name}", value)]
    resume = ["--resume"] if (run / "last").is_dir() else []

    made = (bundle / "manifest.json").is_file()
    steps: Sequence[tuple[list[str], bool]] = (
        (["synth", str(people), *options, "--seed", str(TRAINING_SEED)], (people / "synthetic.json").is_file()),
        (["train", RECIPE, "--data", str(people), "--out", str(run), *resume], made),
        (["export", "onnx", str(run / "best"), "--out", str(bundle), "--name", "demo"], made),
        (["export", "verify", str(bundle), "--checkpoint", str(run / "best")], False),
        (["evaluate", str(bundle), "--data", str(people)], False),
    )
    for command, done in steps:
        if not done:
            _run(command)
    return bundle


def _run(command: Sequence[str]) -> None:
    _say("$ vitreid " + " ".join(command))
    code = subprocess.run([sys.executable, "-m", "vitreid", *command], check=False).returncode
    if code in {130, -signal.SIGINT}:
        raise KeyboardInterrupt
    if code:
        raise DemoError(f"`vitreid {' '.join(command)}` exited with {code}; its output is above")


def _say(text: str) -> None:
    print(text, flush=True)
