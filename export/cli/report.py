"""The report on a bundle that was made or verified."""

from __future__ import annotations

from collections.abc import Sequence

from vitreid.bundle import Bundle, Parity
from vitreid.terminal import emit


def report(bundle: Bundle, parity: Sequence[Parity], *, as_json: bool, model: str = "torch") -> None:
    """Print what a bundle is, and how far its runtimes are from the `model` that it was made of."""
    manifest = bundle.manifest
    values = {"bundle": bundle.path, "bundle_id": manifest.bundle_id, "precision": manifest.precision}
    size = manifest.files["model.onnx"].bytes / 1e6
    line = (
        f"{bundle.path}: bundle {manifest.bundle_id[:12]}, {manifest.precision}, {manifest.image.height}x"
        f"{manifest.image.width}, {manifest.dimension} numbers, {size:.1f} MB"
    )
    emit(values | {"parity": parity}, [line, *(_line(each, model) for each in parity)], as_json=as_json)


def _line(parity: Parity, model: str) -> str:
    cosine, mean = parity.min_corrected_cosine, parity.mean_corrected_cosine
    corrected = "" if cosine is None else f", corrected {cosine:.7f}, {mean:.7f} in the mean"
    text = (
        f"{parity.runtime} in {parity.precision} against {model} on {parity.images} images: largest difference "
        f"{parity.max_abs_difference:.1e}, smallest cosine {parity.min_cosine:.7f}{corrected}"
    )
    if (scores := parity.scores) is None:
        return text
    return (
        f"{text}; on {scores.data} mAP {100 * scores.mAP:.2f} instead of {100 * scores.model_mAP:.2f}, rank-1 "
        f"{100 * scores.rank1:.2f} instead of {100 * scores.model_rank1:.2f}"
    )
