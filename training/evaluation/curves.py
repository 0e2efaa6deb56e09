"""What runs did over their epochs, as an image and for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitreid.training.errors import ConfigError, DataError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FIRST = ("loss", "mAP", "rank1", "lr")
History = Sequence[Mapping[str, float]]


def draw_curves(runs: Mapping[str, History], out: Path) -> None:
    """Write a PNG with a panel for each value of the histories and a line for each run, by its name.

    Raises DataError where there is nothing to draw.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    found = {name for history in runs.values() for record in history for name in record} - {"epoch"}
    names = [*(name for name in FIRST if name in found), *sorted(found - set(FIRST))]
    if not names:
        raise DataError("no epoch has ended in these runs, so there is no curve; train on")
    with mpl.rc_context({"font.size": 8, "axes.grid": True, "grid.alpha": 0.3}):
        columns = min(3, len(names))
        figure = Figure(figsize=(4 * columns, 3 * -(-len(names) // columns)), layout="constrained")
        for place, name in enumerate(names, 1):
            axes = figure.add_subplot(-(-len(names) // columns), columns, place)
            for number, (run, history) in enumerate(runs.items()):
                points = [(record["epoch"], record[name]) for record in history if name in record]
                if points:  # a run keeps its colour where others have no such value
                    marker = "." if len(points) < 30 else None
                    axes.plot(*zip(*points, strict=True), label=run, color=f"C{number}", marker=marker)
            axes.set_title(name)
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            if place == 1 and len(runs) > 1:
                figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=min(4, len(runs)))
        figure.savefig(out, dpi=120)


class TensorBoardWriter:
    """Hears of a run's epochs and writes them where TensorBoard reads them; passes all on to another observer."""

    def __init__(self, observer: Any, folder: Path) -> None:
        """Raises ConfigError where the folder cannot be written."""
        from torch.utils.tensorboard import SummaryWriter

        self._observer = observer
        try:
            self._writer: SummaryWriter = SummaryWriter(str(folder))
        except OSError as error:
            raise ConfigError(f"--tensorboard {folder} cannot be written ({error.strerror}); choose another") from error

    def step(self, progress: Any) -> None:
        """A step was taken."""
        self._observer.step(progress)

    def epoch(self, record: dict[str, Any]) -> None:
        """An epoch ended: its values appear under their names."""
        for name, value in record.items():
            if name != "epoch":
                self._writer.add_scalar(name, value, record["epoch"])
        self._writer.flush()
        self._observer.epoch(record)
