"""Tolerances: the allowed distance of a precision's embeddings from the model's."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from vitreid.bundle import Parity
from vitreid.export.errors import ParityError


@dataclass(frozen=True)
class Tolerance:
    """Minimum corrected cosine, maximum loss of mAP (0..1) and maximum difference of a component."""

    min_cosine: float
    max_loss: float
    max_abs_difference: float = math.inf

    def check(self, parity: Parity) -> None:
        """Raise ParityError, with the numbers, if a runtime is further from the model."""
        if faults := self.faults(parity):
            raise ParityError(
                f"{parity.runtime} in {parity.precision} is too far from torch on {parity.images} images: "
                f"{', '.join(faults)}; take another precision, or allow more by --min-cosine and --max-map-loss"
            )

    def faults(self, parity: Parity) -> list[str]:
        """Describe what is out of tolerance, each with its number and the allowed one."""
        if not math.isfinite(parity.max_abs_difference):
            return ["it returns values that are not finite"]
        found = []
        if parity.max_abs_difference > self.max_abs_difference:
            found.append(f"by {parity.max_abs_difference:.2e} (at most {self.max_abs_difference:.0e} allowed)")
        if (cosine := parity.min_corrected_cosine) is None or cosine < self.min_cosine:
            found.append(f"corrected cosine {_digits(cosine)} (at least {self.min_cosine} needed)")
        if (scores := parity.scores) and scores.loss > self.max_loss:
            found.append(
                f"mAP on {scores.data} {100 * scores.mAP:.2f} instead of {100 * scores.model_mAP:.2f} (at most "
                f"{100 * self.max_loss:.2f} less allowed)"
            )
        return found


def _digits(cosine: float | None) -> str:
    return "unknown" if cosine is None else f"{cosine:.7f}"


TOLERANCES = {
    "fp32": Tolerance(min_cosine=0.99999, max_loss=0.0005, max_abs_difference=1e-5),
    "bf16": Tolerance(min_cosine=0.999, max_loss=0.005),
    "fp16": Tolerance(min_cosine=0.999, max_loss=0.005),
    "int8": Tolerance(min_cosine=0.99, max_loss=0.005),
    "int8-static": Tolerance(min_cosine=0.99, max_loss=0.005),
}
"""By the type in which a runtime computes."""


def tolerance_of(precision: str, min_cosine: float | None = None, max_loss: float | None = None) -> Tolerance:
    """Return the tolerance of a precision; a given `min_cosine` replaces the maximum difference."""
    usual = TOLERANCES[precision]
    if min_cosine is not None:
        usual = replace(usual, min_cosine=min_cosine, max_abs_difference=math.inf)
    return usual if max_loss is None else replace(usual, max_loss=max_loss)
