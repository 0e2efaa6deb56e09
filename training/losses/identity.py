"""Cross entropy over the training persons."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from vitreid.training.losses.interface import LossBatch, Share


def identity(batch: LossBatch, *, label_smoothing: Share = 0.0) -> Tensor:
    """Cross entropy of the logits, the target mixed with `label_smoothing` (0..1) of the uniform distribution.

    Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016, section 7.
    """
    return cross_entropy(batch.branch.logits.float(), batch.identities, label_smoothing=label_smoothing)
