"""Drawn people in the layout of Market-1501: data without anybody's image, for the demo, tests and docs."""

from vitreid.synthetic.cameras import Camera
from vitreid.synthetic.canvas import Canvas
from vitreid.synthetic.dataset import DatasetSummary, draw_dataset, is_drawn
from vitreid.synthetic.errors import DrawingStopped, FolderRefused, InvalidRequest, SyntheticError
from vitreid.synthetic.figure import draw_person
from vitreid.synthetic.image import Image, draw_image, image
from vitreid.synthetic.people import Person
from vitreid.synthetic.sheet import contact_sheet
from vitreid.synthetic.skeleton import Pose, View

__all__ = [
    "Camera",
    "Canvas",
    "DatasetSummary",
    "DrawingStopped",
    "FolderRefused",
    "Image",
    "InvalidRequest",
    "Person",
    "Pose",
    "SyntheticError",
    "View",
    "contact_sheet",
    "draw_dataset",
    "draw_image",
    "draw_person",
    "image",
    "is_drawn",
]
