"""The `vitreid` command: finds the package of a command, imports it, and hands over.

Packages are imported only when one of their commands runs, so `vitreid --help` is fast and works whatever is
installed.
"""

from __future__ import annotations

import difflib
import importlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

EXPORT, SERVICE = "vitreid.export.cli", "vitreid.service.cli.service_cli"
TRAINING = "vitreid.training.cli"
BENCH = "vitreid.service.cli.bench_cli"
KEYS, AUDIT, GALLERY = (
    "vitreid.service.cli.keys_cli",
    "vitreid.service.cli.audit_cli",
    "vitreid.service.cli.gallery_cli",
)

# name: (module whose Typer app has the command or group, the extra that it needs, help)
COMMANDS = {
    "demo": (SERVICE, "cpu", "Draw people, index them, serve, and answer a first query."),
    "synth": (f"{TRAINING}.synth", "cpu", "Draw a data set of made-up people."),
    "data": (f"{TRAINING}.data", "cpu", "Check data sets, and divide them into train, query and gallery."),
    "recipes": (f"{TRAINING}.recipes", "cpu", "List what there is to train, with where to start."),
    "train": (f"{TRAINING}.train", "train", "Train a model."),
    "evaluate": (f"{TRAINING}.evaluate", "train", "Score a checkpoint or a bundle by the Market-1501 protocol."),
    "curves": (f"{TRAINING}.curves", "train", "Draw the losses and scores of training runs."),
    "import-weights": (f"{TRAINING}.import_weights", "train", "Turn published weights into a checkpoint."),
    "export": (EXPORT, "train", "Turn a checkpoint into a bundle, and check bundles."),
    "index": (SERVICE, "cpu", "Add a folder of images to a gallery."),
    "embed": (SERVICE, "cpu", "Write the embeddings of a folder of images to a file."),
    "query": (SERVICE, "cpu", "Find the images most like the given ones."),
    "serve": (SERVICE, "cpu", "Serve a gallery over HTTP."),
    "bench": (BENCH, "cpu", "Measure a bundle on this machine, and say which settings to take."),
    "gallery": (GALLERY, "cpu", "Verify, back up, restore, embed again, erase from and export galleries."),
    "keys": (KEYS, "cpu", "Make, list and revoke the API keys of a service."),
    "audit": (AUDIT, "cpu", "Print the audit log of a service as JSON lines."),
}

# What these make holds images, embeddings and keys of people; the others' data sets and models are passed on.
PRIVATE = frozenset({SERVICE, KEYS, AUDIT, GALLERY})

MAX_MESSAGE = 600
"""Letters of what is printed about a mistake."""
PACKAGE_EXTRAS = {"onnxruntime": "cpu", "faiss": "cpu", "onnx": "adopt", "onnx_ir": "adopt", "matplotlib": "plot"}
"""The extras of packages that commands need for something; of others, the command's own has them."""


def main() -> None:
    """Run the command line and exit: 0, 2 after a mistake of the caller's, 130 after Ctrl-C, 141 where nobody reads."""
    try:
        exit_code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output is gone, as `head` is
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        exit_code = 128 + signal.SIGPIPE
    sys.exit(exit_code)


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code.

    An error of one of our trees is one line and its exit code; anything else keeps its traceback.
    """
    name, *rest = arguments or ["--help"]
    if name in ("--help", "-h"):
        print(_help())
        return 0
    if name == "--version":
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
            return _hand_over(name, rest)
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


def _hand_over(name: str, arguments: Sequence[str]) -> int:
    import typer
    from typer.main import get_command

    app = importlib.import_module(COMMANDS[name][0]).app
    found: Any = get_command(app)
    command = getattr(found, "commands", {}).get(name, found)
    try:
        with command.make_context(f"vitreid {name}", list(arguments)) as context:
            command.invoke(context)  # its main() would make an exit code of Ctrl-C, and tell nothing
    except typer.Exit as done:
        return done.exit_code
    except typer.TyperException as error:
        message = error.format_message().rstrip(".")  # empty where the help was printed instead
        return _fail(f"{message}; see vitreid {name} --help", error.exit_code) if message else error.exit_code
    except typer.Abort:
        return _fail("interrupted", 130)
    return 0


def _report_unknown_variables(name: str) -> None:
    # `serve` says it in its log, and what is not there needs no import.
    if name != "serve" and any(each.upper().startswith("VITREID_") for each in os.environ):
        from vitreid.service.config import unknown_variables

        for line in unknown_variables(os.environ):
            print(f"vitreid: {line}", file=sys.stderr)


@contextmanager
def _private_files(name: str) -> Iterator[None]:
    before = os.umask(0o077)
    if COMMANDS[name][0] not in PRIVATE:
        os.umask(before)
    try:
        yield
    finally:
        os.umask(before)


def _fail(message: str, exit_code: int = 2) -> int:
    if len(message) > MAX_MESSAGE:  # it quotes something long: the mistake stands at its start, the remedy at its end
        message = f"{message[: MAX_MESSAGE - 205]} ... {message[-200:]}"
    print(f"vitreid: {message}", file=sys.stderr)
    return exit_code


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {told}" for name, (_, _, told) in COMMANDS.items()]
    return "\n".join(
        [
            "Usage: vitreid COMMAND [ARGUMENTS]",
            "",
            "Find a person again: one image in, the images most like it out.",
            "",
            "Commands:",
            *lines,
            "",
            "vitreid COMMAND --help tells a command's arguments; vitreid --version the version.",
        ]
    )


if __name__ == "__main__":
    main()
