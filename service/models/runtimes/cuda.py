"""onnxruntime on an NVIDIA GPU by CUDA."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from vitreid.bundle import Bundle, RuntimeMissing
from vitreid.bundle.extras import gpu_command
from vitreid.bundle.gpu import Gpu, first_gpu
from vitreid.bundle.run import load_onnxruntime, open_session
from vitreid.service.models.runtimes.buckets import BucketedRuntime
from vitreid.service.models.runtimes.protocol import RuntimeChoice

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CUDA = ("CUDAExecutionProvider", {"device_id": 0, "arena_extend_strategy": "kSameAsRequested"})
CPU = ("CPUExecutionProvider", dict[str, Any]())  # for the few nodes that compute shapes

PRODUCTS = {"Attention", "Conv", "ConvInteger", "DynamicQuantizeLinear", "Gemm", "MatMul", "MatMulInteger"}
"""Operators that take the time of a graph: with one of them on the processor, images travel there and back."""


def load_cuda(bundle: Bundle, choice: RuntimeChoice) -> BucketedRuntime:
    """Load the graph on the first GPU. Raises RuntimeMissing, BundleDamaged."""
    find_gpu(CUDA[0])
    return load_on_gpu(bundle, [CUDA, CPU], provider="cuda", max_batch=choice.max_batch)


def find_gpu(provider: str) -> Gpu:
    """Return the GPU that one of onnxruntime's providers will compute on. Raises RuntimeMissing."""
    onnxruntime = load_onnxruntime()
    if provider not in onnxruntime.get_available_providers():
        raise RuntimeMissing(f"the installed onnxruntime {onnxruntime.__version__} has no {provider}; {gpu_command()}")
    return first_gpu()


def load_on_gpu(
    bundle: Bundle, providers: Sequence[tuple[str, dict[str, Any]]], *, provider: str, max_batch: int
) -> BucketedRuntime:
    """Load the graph on a GPU, tried with runs of all sizes. Raises RuntimeMissing, BundleDamaged."""
    session = open_on_gpu(bundle, providers)
    try:
        return BucketedRuntime(session, bundle.manifest, provider=provider, max_batch=max_batch)
    except Exception as error:  # onnxruntime's exception types share no base class but this one
        reason = " ".join(str(error).split())[:300]
        raise RuntimeMissing(
            f"{provider} cannot run {bundle.model_path} with up to {max_batch} images ({reason}); "
            "take a smaller VITREID_MAX_BATCH, or another VITREID_PROVIDER"
        ) from error


def open_on_gpu(bundle: Bundle, providers: Sequence[tuple[str, dict[str, Any]]]) -> InferenceSession:
    """Open a session whose first provider really computes, and whose products are all the GPU's.

    onnxruntime drops a provider that it cannot load, and assigns to others what a provider does not support; it
    reports both only in its log. Raises RuntimeMissing, BundleDamaged.
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
    _check_products(bundle, session, wanted)
    return session


def _check_products(bundle: Bundle, session: InferenceSession, wanted: str) -> None:
    """Raise RuntimeMissing if a provider runs no product of the graph, or the CPU runs some."""
    takers: dict[str, set[str]] = {}
    for part in session.get_provider_graph_assignment_info():
        takers.setdefault(part.ep_name, set()).update(node.op_type for node in part.get_nodes())
    left = sorted(takers.get(CPU[0], set()) & PRODUCTS)
    if left or not takers.get(wanted, set()) & PRODUCTS:
        raise RuntimeMissing(
            f"onnxruntime {load_onnxruntime().__version__} leaves {', '.join(left) or 'all'} of {bundle.model_path} to "
            f"others than {wanted}; export the bundle in fp32 or fp16, and with --opset 18"
        )


REMEDIES = {
    "CUDAExecutionProvider": "reinstall 'onnxruntime-gpu[cuda,cudnn]', and a driver for its CUDA",
    "TensorrtExecutionProvider": "install 'tensorrt-cu13>=10.14,<11'",
}
