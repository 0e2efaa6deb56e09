"""The log: one JSON object a line, or text, and nothing in it that must not be."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from vitreid.service.api.info import InfoReport
from vitreid.service.api.logs import JsonFormatter, LogFormat, configure_logging, request_id

Make = Callable[..., bytes]
JPEG: dict[str, Any] = {"content-type": "image/jpeg"}


@pytest.fixture
def runtime() -> str:
    """One runtime is enough here."""
    return "fake"


@pytest.fixture
def logged() -> Iterator[Callable[..., io.StringIO]]:
    """Configures the log into a text, and puts it back afterwards."""
    root = logging.getLogger()
    before, level, of_server = root.handlers[:], root.level, logging.getLogger("uvicorn").level

    def configure(level: str = "info", log_format: LogFormat | None = "json") -> io.StringIO:
        stream = io.StringIO()
        configure_logging(level, log_format, stream)
        return stream

    yield configure
    root.handlers[:], root.level = before, level
    logging.getLogger("uvicorn").setLevel(of_server)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """Log records, without those of the test's own client."""
    logged = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [line for line in logged if line["logger"] != "httpx2"]


def test_a_record_is_one_object(logged: Callable[..., io.StringIO]) -> None:
    stream = logged()
    logging.getLogger("vitreid").warning("two\nlines of %s", "ä", extra={"fields": {"gallery": "default"}})
    [line] = lines(stream)
    assert datetime.fromisoformat(line.pop("time")).utcoffset() == timedelta(0)
    assert line == {"level": "warning", "logger": "vitreid", "message": "two\nlines of ä", "gallery": "default"}


def test_a_traceback_lies_inside_of_the_object(logged: Callable[..., io.StringIO]) -> None:
    stream = logged()
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
    [line] = lines(stream)
    assert line["message"] == "Exception in ASGI application"
    assert line["traceback"].startswith("Traceback")
    assert line["traceback"].endswith("ValueError: why")


def test_text_and_levels(logged: Callable[..., io.StringIO]) -> None:
    stream = logged("warning", "text")
    token = request_id.set("abc")
    logging.getLogger("vitreid").info("left out")
    logging.getLogger("vitreid").warning("said")
    request_id.reset(token)
    [line] = stream.getvalue().splitlines()
    assert line.endswith("warning  said [abc]")


def test_what_is_no_terminal_gets_json(logged: Callable[..., io.StringIO]) -> None:
    logged("info", "text")
    assert not isinstance(logging.getLogger().handlers[0].formatter, JsonFormatter)
    logged(log_format=None)
    assert isinstance(logging.getLogger().handlers[0].formatter, JsonFormatter)


def test_each_answer_is_logged_with_its_request(
    client: TestClient, make_image: Make, logged: Callable[..., io.StringIO]
) -> None:
    stream = logged()
    answer = client.post(
        "/v1/query?camera_id=secret-camera", content=make_image(1), headers={**JPEG, "x-request-id": "mine"}
    )
    assert answer.status_code == 200
    client.get("/v1/items/77")
    query, item = lines(stream)
    assert query["duration_ms"] > 0
    assert {key: query[key] for key in ("logger", "method", "route", "status", "request_id")} == {
        "logger": "vitreid.access", "method": "POST", "route": "/v1/query", "status": 200, "request_id": "mine"
    }  # fmt: skip
    assert (item["route"], item["status"]) == ("/v1/items/{item_id}", 404)
    assert item["request_id"] != "mine"
    assert "secret" not in str(lines(stream))


def test_probes_are_not_in_the_log_at_info(client: TestClient, logged: Callable[..., io.StringIO]) -> None:
    stream = logged()
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.get(path).status_code == 200
    assert lines(stream) == []
    stream = logged("debug")
    client.get("/healthz")
    assert [line["route"] for line in lines(stream) if line["logger"] == "vitreid.access"] == ["/healthz"]


def test_the_work_of_a_request_is_logged_with_its_id(
    client: TestClient, logged: Callable[..., io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = logged()

    def broken(*_: Any, **__: Any) -> None:
        logging.getLogger("vitreid").warning("from a thread")
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(InfoReport, "report", broken)
    client.get("/v1/info", headers={"x-request-id": "mine"})
    thread = next(line for line in lines(stream) if line["message"] == "from a thread")
    assert thread["request_id"] == "mine"
    [access] = [line for line in lines(stream) if line["logger"] == "vitreid.access"]
    assert (access["status"], access["request_id"]) == (500, "mine")


def test_in_json_nothing_that_python_says_is_no_json() -> None:
    """Warnings and errors that nobody caught, in the main thread, in others and in finalizers."""
    code = """
import threading, warnings
from vitreid.service.api.logs import configure_logging, log_uncaught_errors
configure_logging("info", "json")
log_uncaught_errors()
warnings.warn("old\\nthing")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
class Broken:
    def __del__(self):
        raise OSError("in a finalizer")
Broken()
raise ValueError("the end")
"""
    done = subprocess.run([sys.executable, "-W", "default", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    found = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["level"], line["logger"]) for line in found] == [
        ("warning", "py.warnings"), ("error", "vitreid"), ("error", "vitreid"), ("critical", "vitreid"),
    ]  # fmt: skip
    assert "old" in found[0]["message"]
    for line, expected in zip(found[1:], ("ZeroDivisionError", "in a finalizer", "the end"), strict=True):
        assert expected in line["traceback"]
