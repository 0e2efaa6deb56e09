"""What a recipe may say of a loss: its weight, and the options that are the function's keyword-only arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, get_type_hints

from pydantic import Field, TypeAdapter, ValidationError
from torch import Tensor

from vitreid.training.errors import ConfigError

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Several = Annotated[int, Field(ge=2)]
Weight = Annotated[float, Field(ge=0)]


def bound(name: str, loss: Callable[..., Tensor], options: Mapping[str, object]) -> tuple[float, Callable[..., Tensor]]:
    """The weight of a loss and the loss with its options. Raises ConfigError for one that it does not have or take."""
    keywords = [p.name for p in inspect.signature(loss).parameters.values() if p.kind is p.KEYWORD_ONLY]
    hints = get_type_hints(loss, include_extras=True)
    kinds: dict[str, Any] = {"weight": Weight} | {key: hints[key] for key in keywords}
    given: dict[str, Any] = {"weight": 1.0, **options}
    for key, value in given.items():
        if key not in kinds:
            raise ConfigError(f"losses.{name} has no option {key!r}; take from {', '.join(kinds)}")
        try:
            TypeAdapter(kinds[key]).validate_python(value, strict=True)
        except ValidationError as error:
            raise ConfigError(f"losses.{name}.{key} = {value!r}: {error.errors()[0]['msg']}") from error
    return given.pop("weight"), partial(loss, **given)
