"""Messages about wrong values: place, value and what is allowed, in bounded length."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from vitreid.bundle.vocabulary import right_name

MAX_MESSAGE = 600
"""Letters of one message, to clients and on the command line."""
MAX_PLACE = 120
_TAIL = 200  # the remedy stands at the end
_VALUE = reprlib.Repr()
_VALUE.maxlevel, _VALUE.maxlist, _VALUE.maxdict, _VALUE.maxstring, _VALUE.maxother = 2, 4, 4, 60, 60


def shortened(text: str, max_length: int = MAX_MESSAGE) -> str:
    """Shorten a text to `max_length` letters by leaving out its middle."""
    if len(text) <= max_length:
        return text
    tail = min(_TAIL, max_length // 3)
    return f"{text[: max_length - tail - 5]} ... {text[-tail:]}"


def shown(value: object) -> str:
    """Quote a value for a message, shortened if it is large."""
    return _VALUE.repr(value)


def place_of(loc: Sequence[str | int], root: str = "") -> str:
    """Return the place of a value: `metadata[2].boxes[0].box`; `root` is what the whole is called."""
    place = root
    for part in loc:
        place += f"[{part}]" if isinstance(part, int) else f".{part}"
    return shortened(place.removeprefix("."), MAX_PLACE)


def mistake(error: Mapping[str, Any], model: type[BaseModel] | None = None) -> str:
    """Describe one of pydantic's errors: the value, and what is allowed.

    For an unknown name the allowed ones are those of `model`.
    """
    if error["type"] == "missing":
        return "is missing"
    if error["type"] == "extra_forbidden":
        if right := right_name(str(error["loc"][-1])):
            return f"is called {right} here; rename it"
        names = [] if model is None else _names(model, error["loc"][:-1])
        return "is unknown" + (f"; allowed are {', '.join(names)}" if names else "")
    message = str(error["msg"]).removeprefix("Value error, ").replace("Input should", "should", 1)
    message = message.removesuffix(f" or instance of {error.get('ctx', {}).get('class_name', '')}")
    return shortened(f"is {shown(error.get('input'))}: {message}")


def first_mistake(error: ValidationError, root: str = "", model: type[BaseModel] | None = None) -> str:
    """Describe pydantic's first error with its place: `metadata[2].camera_id is 3: should be a valid string`."""
    first = error.errors(include_url=False)[0]
    return f"{place_of(first['loc'], root) or 'the value'} {mistake(first, model)}"


def _names(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    for part in loc:
        if isinstance(part, str) and part in model.model_fields:
            inner = _model_in(model.model_fields[part].annotation)
            if inner is None:
                return []
            model = inner
    return list(model.model_fields)


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(each) for each in get_args(annotation))
    return next((each for each in found if each is not None), None)
