"""What came of the runs of `benchmarks.ablation`: a table for each group of rows, as Markdown.

    python -m benchmarks.ablation_report RUNS

A difference is between runs of the same seeds, on the same queries; its interval of 95 % comes from drawing persons
with all their queries by all seeds. It does not hold what other seeds would have given, so a row is called better or
worse only where every seed agrees as well; where there is only one, the word is withheld.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from benchmarks.ablation_rows import GROUPS, ROWS, Row
from vitreid.scoring import Difference, QueryScores, compare_scores

HEADER = (
    "| row | seeds | minutes | mAP | rank-1 | mAP less that of | difference | interval | seeds one by one | verdict |"
)


@dataclass(frozen=True)
class Found:
    """A row's runs: what each seed scored on every query, and the minutes that one took on a core."""

    scores: dict[int, QueryScores]
    minutes: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    found = read_runs(parser.parse_args().runs)
    for group, rows in GROUPS.items():
        print(f"\n**{group}**\n\n" + "\n".join(table(rows, found)))
    if "baseline" in found:
        print("\n".join(["", "**chance of the seed**", "", *between_seeds(found["baseline"])]))


def read_runs(folder: Path) -> dict[str, Found]:
    """The complete runs in a folder, by row."""
    found = {}
    for name, row in ROWS.items():
        files = {seed: folder / f"{name}-{seed}" / "scores.npz" for seed in range(row.seeds)}
        read = {seed: np.load(file) for seed, file in files.items() if file.is_file()}
        if read:
            scores = {
                seed: QueryScores(**{each.name: run[each.name] for each in fields(QueryScores)})
                for seed, run in read.items()
            }
            found[name] = Found(scores, float(np.mean([run["minutes"] for run in read.values()])))
    return found


def table(rows: Sequence[Row], found: dict[str, Found]) -> Iterator[str]:
    """The rows of a group that have runs."""
    yield HEADER
    yield "|---" * HEADER.count(" | ") + "|---|"
    for row in rows:
        if row.name not in found:
            continue
        own = found[row.name]
        measures = joined(own.scores).measures()
        cells = [row.name, str(len(own.scores)), f"{own.minutes:.1f}"]
        cells += [f"{measures[name].mean():.3f}" for name in ("mAP", "rank1")]
        other = found.get(row.against or "")
        cells += compared(row, own, other) if other else [""] * 5
        yield f"| {' | '.join(cells)} |"


def compared(row: Row, own: Found, other: Found) -> list[str]:
    """What a row has above another, as cells."""
    seeds = sorted(own.scores.keys() & other.scores.keys())
    whole = difference({seed: own.scores[seed] for seed in seeds}, {seed: other.scores[seed] for seed in seeds})
    alone = [difference({0: own.scores[seed]}, {0: other.scores[seed]}).value for seed in seeds]
    return [
        str(row.against),
        f"{whole.value:+.3f}",
        f"{whole.low:+.3f} to {whole.high:+.3f}",
        ", ".join(f"{each:+.3f}" for each in alone),
        verdict(whole, alone),
    ]


def difference(ones: dict[int, QueryScores], others: dict[int, QueryScores]) -> Difference:
    """Of mAP, over the same seeds."""
    return compare_scores(joined(ones), joined(others))["mAP"]


def joined(scores: dict[int, QueryScores]) -> QueryScores:
    """The queries of all seeds one after the other; a person keeps the name, so that it is drawn with all of them."""
    parts = [scores[seed] for seed in sorted(scores)]
    return QueryScores(
        **{each.name: np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(QueryScores)}
    )


def verdict(whole: Difference, alone: Sequence[float]) -> str:
    """What may be said of a difference."""
    if len(alone) < 2:
        return "one seed"
    words = {1: "better", -1: "worse"}
    for sign, word in words.items():
        if min(sign * whole.low, sign * whole.high, *(sign * each for each in alone)) > 0:
            return word
    return "cannot tell"


def between_seeds(baseline: Found) -> Iterator[str]:
    """How far two seeds of one recipe are apart."""
    first, *others = sorted(baseline.scores)
    for seed in others:
        apart = difference({0: baseline.scores[seed]}, {0: baseline.scores[first]})
        yield f"- baseline, seed {seed} less seed {first}: {apart.value:+.3f} ({apart.low:+.3f} to {apart.high:+.3f})"


if __name__ == "__main__":
    main()
