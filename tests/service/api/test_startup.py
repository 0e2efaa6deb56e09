"""A service that answers while its parts are opened, and stops at any time."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.paths import REPOSITORY
from vitreid.service.api.app import create_app
from vitreid.service.api.startup import BackgroundStartup
from vitreid.service.api.state import open_service
from vitreid.service.config import ServiceConfig, gallery_folder
from vitreid.service.gallery import Gallery
from vitreid.service.gallery.errors import BundleMismatch

Make = Callable[..., bytes]
JPEG: dict[str, Any] = {"content-type": "image/jpeg"}
WAIT_S = 30


@pytest.fixture
def runtime() -> str:
    """One runtime is enough here."""
    return "fake"


def kind_of(answer: Any) -> str:
    return str(answer.json()["type"]).rpartition("/")[2]


def startup_of(config: ServiceConfig, app: FastAPI, opening: Callable[..., Any] = open_service, **on: Any) -> Any:
    return BackgroundStartup(partial(opening, config, app.state.metrics), app.state, drain_s=config.drain_s, **on)


def test_health_at_once_and_the_rest_when_all_is_there(config: ServiceConfig, make_image: Make) -> None:
    loading, go_on, opened = threading.Event(), threading.Event(), threading.Event()

    def slow(config: ServiceConfig, metrics: Any, on_progress: Callable[[str], None]) -> Any:
        def held(step: str) -> None:
            on_progress(step)
            if step == "the gallery default":
                loading.set()
                assert go_on.wait(WAIT_S)

        return open_service(config, metrics, held)

    app = create_app(config, open_parts=False)
    with TestClient(app) as client, startup_of(config, app, slow, on_ready=lambda service: opened.set()):
        assert loading.wait(WAIT_S)
        assert client.get("/healthz").status_code == 200
        for answer in (
            client.get("/readyz"),
            client.get("/v1/info"),
            client.get("/metrics"),
            client.post("/v1/query", content=make_image(1), headers=JPEG),
        ):
            assert (answer.status_code, kind_of(answer), answer.headers["retry-after"]) == (503, "not-ready", "1")
            assert "the gallery default is still being loaded" in answer.json()["detail"]
        go_on.set()
        assert opened.wait(WAIT_S)
        assert client.get("/readyz").status_code == 200
        assert client.post("/v1/query", content=make_image(1), headers=JPEG).status_code == 200
    assert app.state.service is None


def test_not_ready_where_the_first_query_fails(config: ServiceConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(Gallery, "search", broken)
    failed = threading.Event()
    app = create_app(config, open_parts=False)
    with TestClient(app) as client, startup_of(config, app, on_error=failed.set) as parts:
        assert failed.wait(WAIT_S)
        assert client.get("/readyz").status_code == 503
    assert kind_of_error(parts) == "NotReady"
    with Gallery.open(gallery_folder(config.data), bundle_id=bundle_id(config), dimension=48) as gallery:
        gallery.acquire_maintenance_lock("nobody else")  # what was opened before the failure is closed


def test_what_cannot_be_opened_ends_it_with_its_error(config: ServiceConfig) -> None:
    Gallery.open(gallery_folder(config.data), bundle_id="0" * 64, dimension=48).close()
    failed = threading.Event()
    app = create_app(config, open_parts=False)
    with startup_of(config, app, on_error=failed.set) as parts:
        assert failed.wait(WAIT_S)
    assert isinstance(parts.error, BundleMismatch)
    assert parts.ended


def test_stopping_while_it_loads(config: ServiceConfig) -> None:
    loading, go_on = threading.Event(), threading.Event()
    entered: list[str] = []

    @contextmanager
    def slow(config: ServiceConfig, metrics: Any, on_progress: Callable[[str], None]) -> Iterator[None]:
        entered.append("model")
        on_progress("the model")
        loading.set()
        assert go_on.wait(WAIT_S)
        on_progress("the gallery default")
        entered.append("gallery")
        yield

    app = create_app(config, open_parts=False)
    with startup_of(config, app, slow) as parts:
        assert loading.wait(WAIT_S)
        stopping = parts._stop

        def go_on_when_stopped() -> None:
            assert stopping.wait(WAIT_S)
            go_on.set()

        threading.Thread(target=go_on_when_stopped).start()
    assert (entered, parts.error, app.state.service) == (["model"], None, None)


SERVE = """
import sys, threading
from contextlib import contextmanager
from pathlib import Path
from vitreid.service.api.server import serving
from vitreid.service.config import ServiceConfig

@contextmanager
def stuck(config, metrics, on_progress):
    on_progress("the model")
    threading.Event().wait()
    yield

serving.open_service = stuck
serving.serve(ServiceConfig(data=Path(sys.argv[1]), port=0, drain_s=0, log_format="json"))
print("not reached: what is stuck would not let the interpreter end")
"""


@pytest.mark.slow
def test_sigterm_ends_it_even_where_loading_is_stuck(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SERVE, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            assert "loading the model" in process.stderr.readline()
            process.send_signal(signal.SIGTERM)
            stdout, stderr = process.communicate(timeout=WAIT_S)
        finally:
            process.kill()
    assert (process.returncode, stdout) == (0, ""), stderr
    assert '"stopped"' in stderr


@pytest.mark.slow
def test_a_second_service_on_the_same_data_reports_who_has_the_lock(config: ServiceConfig, tiny_bundle: Path) -> None:
    with open_service(config):
        command = [
            sys.executable,
            "-m",
            "vitreid",
            "serve",
            "--data",
            config.data,
            "--bundle",
            tiny_bundle,
            "--port",
            "0",
        ]
        second = subprocess.run(
            list(map(str, command)), cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
        )
    assert second.returncode == 2
    last = second.stderr.splitlines()[-1]
    assert last.startswith("vitreid: ")
    assert "is locked by process" in last
    assert "vitreid serve" in last
    assert "Traceback" not in second.stderr


def kind_of_error(parts: BackgroundStartup) -> str:
    return type(parts.error).__name__


def bundle_id(config: ServiceConfig) -> str:
    from vitreid.bundle import Bundle

    assert config.bundle is not None
    return Bundle.open(config.bundle).manifest.bundle_id
