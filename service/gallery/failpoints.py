"""Places where a test can end what is being done, as a crash would; empty and without cost in production."""

from __future__ import annotations

from collections.abc import Callable

FAILPOINTS: dict[str, Callable[[], None]] = {}
"""By name, "before STEP" or "after STEP": what is called there."""


def step(name: str, action: Callable[[], object]) -> None:
    """Do one step that a crash may come before or after."""
    reach(f"before {name}")
    action()
    reach(f"after {name}")


def reach(name: str) -> None:
    """Call what a test has put at this place."""
    if FAILPOINTS and name in FAILPOINTS:
        FAILPOINTS[name]()
