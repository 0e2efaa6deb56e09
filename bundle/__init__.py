"""The contract between export and service: a model, its input and output, and how pictures reach it."""

from bundle.budget import PixelBudget
from bundle.calibration import Calibration
from bundle.errors import (
    BundleDamaged,
    BundleError,
    BundleMissing,
    BundleTooNew,
    DecodingBusy,
    EvidenceMissing,
    ImageError,
    RuntimeMissing,
)
from bundle.evidence import Evidence
from bundle.manifest import Bundle, FileRecord, ImageSpec, Manifest, OutputSpec
from bundle.market_names import MarketName, parse_market_name
from bundle.parity import Parity, ParityScores
from bundle.preprocess import ImageLimits, decoded, read_image, resize_to_spec
from bundle.run import BundleRunner
from bundle.run_evidence import EvidenceRunner
from bundle.run_openvino import OpenVinoRunner

__all__ = [
    "Bundle",
    "BundleDamaged",
    "BundleError",
    "BundleMissing",
    "BundleRunner",
    "BundleTooNew",
    "Calibration",
    "DecodingBusy",
    "Evidence",
    "EvidenceMissing",
    "EvidenceRunner",
    "FileRecord",
    "ImageError",
    "ImageLimits",
    "ImageSpec",
    "Manifest",
    "MarketName",
    "OpenVinoRunner",
    "OutputSpec",
    "Parity",
    "ParityScores",
    "PixelBudget",
    "RuntimeMissing",
    "decoded",
    "parse_market_name",
    "read_image",
    "resize_to_spec",
]
