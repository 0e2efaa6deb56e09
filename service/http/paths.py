"""The path of a request inside of the service, whatever prefix it is reached under."""

from __future__ import annotations

from starlette.types import Scope


def path_of(scope: Scope) -> str:
    """The path without the prefix REID_ROOT_PATH, where the proxy left that on it."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
