"""The log: JSON objects, one a line, or text for people; never images, embeddings, keys or query strings."""

from __future__ import annotations

import json
import logging
import sys
import threading
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, TextIO

LogFormat = Literal["json", "text"]

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that is being answered."""


def configure_logging(level: str, log_format: LogFormat | None = None, stream: TextIO | None = None) -> None:
    """Send everything that this process logs to `stream` (stderr), from `level` on.

    Without a format people at a terminal get text and everything else JSON.
    """
    stream = stream or sys.stderr
    log_format = log_format or ("text" if stream.isatty() else "json")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(FORMATS[log_format]())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # What the server says at info (that it starts and stops) is said by the service itself, with what it waits for.
    # faiss tells which builds of itself it tries.
    for name in ("uvicorn", "faiss"):
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)


def log_what_is_not_caught() -> None:
    """Send warnings of Python and exceptions that nobody caught, in threads and finalizers too, into the log."""
    logging.captureWarnings(True)
    logger = logging.getLogger("vitreid")

    def in_main(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        logger.critical("an error that nobody caught", exc_info=(kind, error, traceback))

    def in_thread(given: threading.ExceptHookArgs) -> None:
        name = given.thread.name if given.thread else "unknown"
        error = given.exc_value or given.exc_type()
        logger.error("an error that nobody caught in thread %s", name, exc_info=error)

    def in_finalizer(given: sys.UnraisableHookArgs) -> None:
        logger.error("%s %r", given.err_msg or "ignored in", given.object, exc_info=given.exc_value)

    sys.excepthook, threading.excepthook, sys.unraisablehook = in_main, in_thread, in_finalizer


class JsonFormatter(logging.Formatter):
    """One object a record: time, level, logger, message, then what is known about the request, then a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        content: dict[str, object] = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage().strip(),
        }
        if (current := request_id.get()) is not None:
            content["request_id"] = current
        content |= getattr(record, "fields", {})
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps(content, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """A line for people, with the request's id where there is one, and a traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        current = request_id.get()
        line = f"{_time_of(record)} {record.levelname.lower():8} {record.getMessage().strip()}"
        line += "" if current is None else f" [{current}]"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


FORMATS: dict[LogFormat, type[logging.Formatter]] = {"json": JsonFormatter, "text": TextFormatter}


def _time_of(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
