"""The contract between export and service: a model, its input and output, and how pictures reach it."""

from bundle.errors import BundleDamaged, BundleError, BundleMissing, BundleTooNew, ImageError
from bundle.manifest import Bundle, FileRecord, ImageSpec, Manifest, OutputSpec
from bundle.market_names import MarketName, parse_market_name
from bundle.parity import Parity, ParityScores
from bundle.preprocess import ImageLimits, read_image, resize_to_spec
from bundle.run import BundleRunner

__all__ = [
    "Bundle",
    "BundleDamaged",
    "BundleError",
    "BundleMissing",
    "BundleRunner",
    "BundleTooNew",
    "FileRecord",
    "ImageError",
    "ImageLimits",
    "ImageSpec",
    "Manifest",
    "MarketName",
    "OutputSpec",
    "Parity",
    "ParityScores",
    "parse_market_name",
    "read_image",
    "resize_to_spec",
]
