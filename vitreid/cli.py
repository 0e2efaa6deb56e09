"""The `vitreid` command: imports the module of a command when it runs, and reports its errors.

`vitreid --help` is fast, and works whatever is installed.
"""

from __future__ import annotations

import difflib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

SERVICE, TRAINING = "vitreid.service.cli", "vitreid.training.cli"

COMMANDS = {
    "demo": (f"{SERVICE}.demo", "cpu", "Draw people, index them, serve them, and answer a first query."),
    "synth": (f"{TRAINING}.synth", "cpu", "Draw a data set of made-up people."),
    "data": (f"{TRAINING}.data", "cpu", "Check data sets, and split them into train, query and gallery."),
    "recipes": (f"{TRAINING}.recipes", "cpu", "List the training recipes."),
    "train": (f"{TRAINING}.train", "train", "Train a model."),
    "evaluate": (f"{TRAINING}.evaluate", "train", "Score a checkpoint or a bundle by the Market-1501 protocol."),
    "curves": (f"{TRAINING}.curves", "train", "Plot the losses and scores of training runs."),
    "import-weights": (f"{TRAINING}.import_weights", "train", "Turn published weights into a checkpoint."),
    "export": ("vitreid.export.cli", "train", "Turn a checkpoint into a bundle, and check bundles."),
    "index": (f"{SERVICE}.index", "cpu", "Add a folder of images to a gallery."),
    "embed": (f"{SERVICE}.embed", "cpu", "Write the embeddings of a folder of images to a file."),
    "query": (f"{SERVICE}.query", "cpu", "Search a gallery by image."),
    "serve": (f"{SERVICE}.serve", "cpu", "Serve galleries over HTTP."),
    "bench": (f"{SERVICE}.bench", "cpu", "Measure a bundle on this machine, and recommend settings."),
    "gallery": (f"{SERVICE}.gallery", "cpu", "Verify, back up, restore, re-embed, erase from and export galleries."),
    "keys": (f"{SERVICE}.keys", "cpu", "Create, list and revoke the API keys of a service."),
    "audit": (f"{SERVICE}.audit", "cpu", "Print the audit log of a service as JSON lines."),
}
"""By name: the module of the command, the extra that it needs, and its help.

The module has a function of the command's name or, for a group of commands, the Typer `app`.
"""

PRIVATE = frozenset({"demo", "index", "embed", "query", "serve", "gallery", "keys", "audit"})
"""Commands that write images, embeddings and keys of people, for their owner alone."""

MAX_MESSAGE = 600
"""Characters of an error message that are printed."""
PACKAGE_EXTRAS = {"onnxruntime": "cpu", "faiss": "cpu", "onnx": "adopt", "onnx_ir": "adopt", "matplotlib": "plot"}
"""The extras of packages that only some uses of a command need; all others are in the command's own extra."""


def main() -> None:
    """Run the command line and exit: 0, 2 after a user's error, 130 after Ctrl-C, 141 after a closed pipe."""
    try:
        exit_code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output has ended, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        exit_code = 128 + signal.SIGPIPE
    sys.exit(exit_code)


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code.

    A typed error is one line and its exit code; any other exception passes through.
    """
    name, *rest = arguments or ["--help"]
    if name in ("--help", "-h"):
        print(_help())
        return 0
    if name == "--version":
        from importlib.metadata import version

        print(version("vitreid"))
        return 0
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        return _fail(
            f"there is no command {name!r}" + (f"; did you mean {near[0]}?" if near else "; see vitreid --help")
        )
    try:
        _report_unknown_variables(name)
        with _private_files(name):
            return _run_command(name, rest)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except ModuleNotFoundError as error:
        if error.name and f"{COMMANDS[name][0]}.".startswith(f"{error.name}.") and error.name != "vitreid":
            return _fail(f"this installation is for serving only and has no `vitreid {name}`; run it from a checkout")
        if (error.name or "").partition(".")[0] == "vitreid":
            raise  # a fault of ours, not a missing package
        extra = PACKAGE_EXTRAS.get((error.name or "").partition(".")[0], COMMANDS[name][1])
        from vitreid.bundle.extras import install_command

        return _fail(f"`vitreid {name}` needs {error.name}; {install_command(extra)}")
    except Exception as error:  # the packages' trees share no base class: the leaves import nothing of ours
        exit_code = getattr(error, "exit_code", None)  # the root of every package's error tree has one
        if exit_code is None:
            raise
        return _fail(str(error), exit_code)


def app_of(name: str) -> typer.Typer:
    """Import a command or group of commands."""
    import typer

    module = import_module(COMMANDS[name][0])
    if (app := getattr(module, "app", None)) is None:
        app = typer.Typer(add_completion=False)
        app.command(name)(getattr(module, name.replace("-", "_")))
    assert isinstance(app, typer.Typer)
    return app


def _run_command(name: str, arguments: Sequence[str]) -> int:
    import typer
    from typer.main import get_command

    command = get_command(app_of(name))
    try:
        with command.make_context(f"vitreid {name}", list(arguments)) as context:
            command.invoke(context)  # its main() would handle Ctrl-C and print nothing
    except typer.Exit as done:
        return done.exit_code
    except typer.TyperException as error:
        message = error.format_message().rstrip(".")  # empty where the help was printed instead
        return _fail(f"{message}; see vitreid {name} --help", error.exit_code) if message else error.exit_code
    except typer.Abort:
        return _fail("interrupted", 130)
    return 0


def _report_unknown_variables(name: str) -> None:
    # `serve` logs them; without any, nothing is imported.
    if name != "serve" and any(each.upper().startswith("VITREID_") for each in os.environ):
        from vitreid.service.config import unknown_variables

        for line in unknown_variables(os.environ):
            print(f"vitreid: {line}", file=sys.stderr)


@contextmanager
def _private_files(name: str) -> Iterator[None]:
    before = os.umask(0o077)
    if name not in PRIVATE:
        os.umask(before)
    try:
        yield
    finally:
        os.umask(before)


def _fail(message: str, exit_code: int = 2) -> int:
    if len(message) > MAX_MESSAGE:  # it quotes something long; the fault is at its start, the remedy at its end
        message = f"{message[: MAX_MESSAGE - 205]} ... {message[-200:]}"
    print(f"vitreid: {message}", file=sys.stderr)
    return exit_code


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {text}" for name, (_, _, text) in COMMANDS.items()]
    return "\n".join(
        [
            "Usage: vitreid COMMAND [ARGUMENTS]",
            "",
            "Person re-identification: one image in, the most similar images of a gallery out.",
            "",
            "Commands:",
            *lines,
            "",
            "vitreid COMMAND --help shows a command's arguments, vitreid --version the version.",
        ]
    )


if __name__ == "__main__":
    main()
