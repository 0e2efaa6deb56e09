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
    """Log to `stream` (stderr) from `level` on; without a format, text on a terminal and JSON elsewhere."""
    stream = stream or sys.stderr
    log_format = log_format or ("text" if stream.isatty() else "json")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(FORMATS[log_format]())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # At info, uvicorn logs its start and stop, which the service logs itself, and faiss the builds of itself it tries.
    for name in ("uvicorn", "faiss"):
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)


def log_uncaught_errors() -> None:
    """Log Python's warnings and uncaught exceptions, also of threads and finalizers."""
    logging.captureWarnings(True)
    logger = logging.getLogger("vitreid")

    def in_main(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        logger.critical("uncaught error", exc_info=(kind, error, traceback))

    def in_thread(given: threading.ExceptHookArgs) -> None:
        name = given.thread.name if given.thread else "unknown"
        error = given.exc_value or given.exc_type()
        logger.error("uncaught error in thread %s", name, exc_info=error)

    def in_finalizer(given: sys.UnraisableHookArgs) -> None:
        logger.error("%s %r", given.err_msg or "ignored in", given.object, exc_info=given.exc_value)

    sys.excepthook, threading.excepthook, sys.unraisablehook = in_main, in_thread, in_finalizer


class JsonFormatter(logging.Formatter):
    """One JSON object per record: time, level, logger, message, fields of the request, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
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
    """A line for people, with the request's id if there is one, and a traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        current = request_id.get()
        line = f"{_time_of(record)} {record.levelname.lower():8} {record.getMessage().strip()}"
        line += "" if current is None else f" [{current}]"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


FORMATS: dict[LogFormat, type[logging.Formatter]] = {"json": JsonFormatter, "text": TextFormatter}


def _time_of(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
