"""Drawn people in the layout of Market-1501: data without anybody's picture, for the demo, tests and docs."""

from synthetic.cameras import Camera
from synthetic.canvas import Canvas
from synthetic.dataset import DatasetSummary, draw_dataset, is_drawn
from synthetic.errors import DrawingStopped, FolderRefused, InvalidRequest, SyntheticError
from synthetic.figure import draw_person
from synthetic.people import Person
from synthetic.picture import Picture, draw_picture, picture
from synthetic.sheet import contact_sheet
from synthetic.skeleton import Pose, View

__all__ = [
    "Camera",
    "Canvas",
    "DatasetSummary",
    "DrawingStopped",
    "FolderRefused",
    "InvalidRequest",
    "Person",
    "Picture",
    "Pose",
    "SyntheticError",
    "View",
    "contact_sheet",
    "draw_dataset",
    "draw_person",
    "draw_picture",
    "is_drawn",
    "picture",
]
