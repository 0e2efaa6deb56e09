"""onnxruntime on an NVIDIA GPU by CUDA."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from bundle import Bundle, RuntimeMissing
from bundle.gpu import Gpu, first_gpu
from bundle.run import load_onnxruntime, open_session
from service.runtimes.buckets import BucketedRuntime
from service.runtimes.protocol import RuntimeChoice

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CUDA = ("CUDAExecutionProvider", {"device_id": 0, "arena_extend_strategy": "kSameAsRequested"})
CPU = ("CPUExecutionProvider", dict[str, Any]())  # for the few nodes that compute shapes


def load_cuda(bundle: Bundle, choice: RuntimeChoice) -> BucketedRuntime:
    """The graph on the first GPU. Raises RuntimeMissing, BundleDamaged."""
    find_gpu(CUDA[0])
    session = open_on_gpu(bundle, [CUDA, CPU])
    return BucketedRuntime(session, bundle.manifest, provider="cuda", max_batch=choice.max_batch)


def find_gpu(provider: str) -> Gpu:
    """The GPU that one of onnxruntime's providers will compute on. Raises RuntimeMissing."""
    onnxruntime = load_onnxruntime()
    if provider not in onnxruntime.get_available_providers():
        raise RuntimeMissing(
            f"the installed onnxruntime {onnxruntime.__version__} has no {provider}: "
            "install vitreid[gpu] instead of vitreid[cpu]"
        )
    return first_gpu()


def open_on_gpu(bundle: Bundle, providers: Sequence[tuple[str, dict[str, Any]]]) -> InferenceSession:
    """A session whose first provider is really in use. Raises RuntimeMissing, BundleDamaged.

    onnxruntime goes on without a provider that it cannot load, and says so only in its log.
    """
    onnxruntime, wanted = load_onnxruntime(), providers[0][0]
    with redirect_stdout(sys.stderr):  # it prints what it does not find, and commands print JSON
        onnxruntime.preload_dlls()  # those that pip installed, which nothing else finds
    session = open_session(bundle, providers=providers)
    used = session.get_providers()
    if used[0] != wanted:
        raise RuntimeMissing(
            f"onnxruntime {onnxruntime.__version__} could not load {wanted} and would compute on {', '.join(used)}: "
            f"a library is missing or of another version; {REMEDIES[wanted]}"
        )
    return session


REMEDIES = {
    "CUDAExecutionProvider": "install 'onnxruntime-gpu[cuda,cudnn]' anew, and a driver for its CUDA",
    "TensorrtExecutionProvider": "install 'tensorrt-cu13>=10.14,<11'",
}
