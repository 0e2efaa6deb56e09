"""Print the results of `benchmarks.ablation` as Markdown, with a table for each group of rows.

    python -m benchmarks.ablation_report RUNS

A difference is between runs with the same seeds, on the same queries; its 95 % interval is by bootstrap over persons,
with all their queries of all seeds. It does not include the variation between seeds, so a row is called better or worse
only if every seed agrees, and never with a single seed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from benchmarks.ablation_rows import GROUPS, ROWS, Row
from vitreid.scoring import Difference, QueryScores, compare_scores

HEADER = "| row | seeds | minutes | mAP | rank-1 | mAP compared with | difference | interval | by seed | verdict |"


@dataclass(frozen=True)
class RowRuns:
    """The runs of a row: the scores of every query by seed, and the mean CPU minutes of a run."""

    scores: dict[int, QueryScores]
    minutes: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    found = read_runs(parser.parse_args().runs)
    for group, rows in GROUPS.items():
        print(f"\n**{group}**\n\n" + "\n".join(table(rows, found)))
    if "baseline" in found:
        print("\n".join(["", "**variation between seeds**", "", *between_seeds(found["baseline"])]))


def read_runs(folder: Path) -> dict[str, RowRuns]:
    """Read the complete runs in a folder, by row."""
    found = {}
    for name, row in ROWS.items():
        files = {seed: folder / f"{name}-{seed}" / "scores.npz" for seed in range(row.seeds)}
        read = {seed: np.load(file) for seed, file in files.items() if file.is_file()}
        if read:
            scores = {
                seed: QueryScores(**{each.name: run[each.name] for each in fields(QueryScores)})
                for seed, run in read.items()
            }
            found[name] = RowRuns(scores, float(np.mean([run["minutes"] for run in read.values()])))
    return found


def table(rows: Sequence[Row], found: dict[str, RowRuns]) -> Iterator[str]:
    """Yield the table of a group, with the rows that have runs."""
    yield HEADER
    yield "|---" * HEADER.count(" | ") + "|---|"
    for row in rows:
        if row.name not in found:
            continue
        own = found[row.name]
        measures = concat_scores(own.scores).measures()
        cells = [row.name, str(len(own.scores)), f"{own.minutes:.1f}"]
        cells += [f"{measures[name].mean():.3f}" for name in ("mAP", "rank1")]
        other = found.get(row.against or "")
        cells += compared(row, own, other) if other else [""] * 5
        yield f"| {' | '.join(cells)} |"


def compared(row: Row, own: RowRuns, other: RowRuns) -> list[str]:
    """Return the cells of the comparison of a row with another one."""
    seeds = sorted(own.scores.keys() & other.scores.keys())
    whole = difference({seed: own.scores[seed] for seed in seeds}, {seed: other.scores[seed] for seed in seeds})
    by_seed = [difference({0: own.scores[seed]}, {0: other.scores[seed]}).value for seed in seeds]
    return [
        str(row.against),
        f"{whole.value:+.3f}",
        f"{whole.low:+.3f} to {whole.high:+.3f}",
        ", ".join(f"{each:+.3f}" for each in by_seed),
        verdict(whole, by_seed),
    ]


def difference(ones: dict[int, QueryScores], others: dict[int, QueryScores]) -> Difference:
    """Return the difference of mAP over the same seeds."""
    return compare_scores(concat_scores(ones), concat_scores(others))["mAP"]


def concat_scores(scores: dict[int, QueryScores]) -> QueryScores:
    """Concatenate the queries of all seeds; a person has the same name in all, so that they are resampled together."""
    parts = [scores[seed] for seed in sorted(scores)]
    return QueryScores(
        **{each.name: np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(QueryScores)}
    )


def verdict(whole: Difference, by_seed: Sequence[float]) -> str:
    """Return better, worse or inconclusive; "one seed" for a single seed."""
    if len(by_seed) < 2:
        return "one seed"
    words = {1: "better", -1: "worse"}
    for sign, word in words.items():
        if min(sign * whole.low, sign * whole.high, *(sign * each for each in by_seed)) > 0:
            return word
    return "inconclusive"


def between_seeds(baseline: RowRuns) -> Iterator[str]:
    """Yield the differences between seeds of one recipe."""
    first, *others = sorted(baseline.scores)
    for seed in others:
        found = difference({0: baseline.scores[seed]}, {0: baseline.scores[first]})
        yield f"- baseline, seed {seed} minus seed {first}: {found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


if __name__ == "__main__":
    main()
