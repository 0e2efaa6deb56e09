"""The contract between export and service: a model, its inputs and outputs, and the preprocessing of images."""

from vitreid.bundle.budget import PixelBudget
from vitreid.bundle.calibration import Calibration
from vitreid.bundle.errors import (
    BundleDamaged,
    BundleError,
    BundleMissing,
    BundleTooNew,
    DecodingBusy,
    ImageError,
    PatchGraphMissing,
    RuntimeMissing,
)
from vitreid.bundle.manifest import Bundle, FileRecord, ImageSpec, Manifest, OutputSpec
from vitreid.bundle.market_names import MarketName, parse_market_name
from vitreid.bundle.parity import Parity, ParityScores
from vitreid.bundle.patch_spec import PatchSpec
from vitreid.bundle.preprocess import ImageLimits, decoded, read_image, resize_to_spec
from vitreid.bundle.run import BundleRunner
from vitreid.bundle.run_openvino import OpenVinoRunner
from vitreid.bundle.run_patches import PatchRunner

__all__ = [
    "Bundle",
    "BundleDamaged",
    "BundleError",
    "BundleMissing",
    "BundleRunner",
    "BundleTooNew",
    "Calibration",
    "DecodingBusy",
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
    "PatchGraphMissing",
    "PatchRunner",
    "PatchSpec",
    "PixelBudget",
    "RuntimeMissing",
    "decoded",
    "parse_market_name",
    "read_image",
    "resize_to_spec",
]
