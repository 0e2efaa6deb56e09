"""Running a bundle's `explain.onnx`: what its model made of each patch of an image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle.errors import BundleDamaged, PatchGraphMissing
from vitreid.bundle.manifest import Bundle
from vitreid.bundle.patch_spec import EXPLAIN
from vitreid.bundle.run import expected_inputs, feed_of, load_graph

Floats = NDArray[np.float32]


class PatchRunner:
    """Looks at images patch by patch, by onnxruntime on the CPU; `threads` and overlapping runs as in BundleRunner.

    Raises PatchGraphMissing for a bundle without `explain.onnx`, BundleDamaged for one whose graph is not what it says.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        if bundle.manifest.explain is None:
            raise PatchGraphMissing(
                f"{bundle.path} has no {EXPLAIN}, so nothing can be told about patches; add it with `vitreid export "
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
            raise BundleDamaged(f"{file} takes and gives {found}, the manifest says otherwise; export it again")
        self._inputs = tuple(found[0])

    def run(
        self,
        images: NDArray[np.uint8],
        cameras: NDArray[np.int64] | None = None,
        views: NDArray[np.int64] | None = None,
    ) -> tuple[Floats, Floats]:
        """Patches (B, N, dimension) of unit length, and attention (B, N), each row with the sum 1.

        Arguments as in BundleRunner.run.
        """
        patches, attention = self._session.run(["patches", "attention"], feed_of(self._inputs, images, cameras, views))
        return patches, attention
