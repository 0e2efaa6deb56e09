"""How far a precision's embeddings may be from the model's."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bundle import Parity
from export.errors import ParityError


@dataclass(frozen=True)
class Tolerance:
    """The smallest cosine, the largest loss of mAP (0..1) and the largest difference of a component to let pass."""

    min_cosine: float
    max_loss: float
    max_abs_difference: float = math.inf

    def check(self, parity: Parity) -> None:
        """Raises ParityError, with the numbers, where a runtime is further from the model."""
        if faults := self.faults(parity):
            raise ParityError(
                f"{parity.runtime} in {parity.precision} is not the model on {parity.images} pictures: "
                f"{', '.join(faults)}; nothing was kept"
            )

    def faults(self, parity: Parity) -> list[str]:
        """What lies outside, each with its number and the allowed one."""
        found = []
        if not math.isfinite(parity.max_abs_difference):
            return ["it gives values that are not finite"]
        if parity.max_abs_difference > self.max_abs_difference:
            found.append(f"it differs by {parity.max_abs_difference:.2e} (at most {self.max_abs_difference:.0e})")
        if parity.min_cosine < self.min_cosine:
            found.append(f"the smallest cosine is {parity.min_cosine:.6f} (at least {self.min_cosine})")
        if (scores := parity.scores) and scores.loss > self.max_loss:
            found.append(
                f"mAP on {scores.data} falls by {100 * scores.loss:.2f} points, from {100 * scores.model_mAP:.2f} to "
                f"{100 * scores.mAP:.2f} (at most {100 * self.max_loss:.2f})"
            )
        return found
