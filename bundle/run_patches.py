"""The runner of a bundle's `explain.onnx`: features and attention of each patch of an image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle.errors import BundleDamaged, PatchGraphMissing
from vitreid.bundle.manifest import Bundle
from vitreid.bundle.patch_spec import EXPLAIN
from vitreid.bundle.run import expected_inputs, feed_of, load_graph

Floats = NDArray[np.float32]


class PatchRunner:
    """A bundle's `explain.onnx` in onnxruntime on the CPU; `threads` and thread safety as in BundleRunner.

    Raises PatchGraphMissing for a bundle without `explain.onnx`, BundleDamaged if its graph does not match the
    manifest.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        if bundle.manifest.explain is None:
            raise PatchGraphMissing(
                f"{bundle.path} has no {EXPLAIN}, so its patches cannot be compared; add it with `vitreid export "
                f"explain {bundle.path} --checkpoint CHECKPOINT`, from the transformer that it was exported from"
            )
        self.manifest, self.spec = bundle.manifest, bundle.manifest.explain
        file = bundle.path / EXPLAIN
        try:
            self._session = load_graph(file, threads=threads)
        except Exception as error:  # onnxruntime's exception types share no base class but this one
            raise BundleDamaged(f"{file} does not load ({' '.join(str(error).split())}); export it again") from error
        nodes = self._session.get_inputs(), self._session.get_outputs()
        found = tuple({node.name: (node.type, node.shape[1:]) for node in each} for each in nodes)
        patches, dimension = self.spec.patches, self.spec.dimension
        outputs = {"patches": ("tensor(float)", [patches, dimension]), "attention": ("tensor(float)", [patches])}
        if found != (expected_inputs(self.manifest), outputs):
            raise BundleDamaged(f"{file} has inputs and outputs {found}; the manifest expects others; export it again")
        self._inputs = tuple(found[0])

    def run(
        self,
        images: NDArray[np.uint8],
        cameras: NDArray[np.int64] | None = None,
        views: NDArray[np.int64] | None = None,
    ) -> tuple[Floats, Floats]:
        """Return patches (B, N, dimension) of unit length, and attention (B, N) with the sum 1 in each row.

        Arguments as in BundleRunner.run.
        """
        patches, attention = self._session.run(["patches", "attention"], feed_of(self._inputs, images, cameras, views))
        return patches, attention
