"""Commands as a user types them, run in this process."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from vitreid import cli


def vitreid(*arguments: object) -> Result:
    """Run a command; the result has its exit code, output and exception."""
    name, *others = map(str, arguments)
    return CliRunner().invoke(cli.app_of(name), others)
