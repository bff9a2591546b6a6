"""Where a network looks: a file per method, and the parts of the face. Imports the model's files and `faces`."""

from .face import FaceExplanation, explain_face
from .methods import METHODS, explain, explain_classes, reported_classes

__all__ = ["METHODS", "FaceExplanation", "explain", "explain_classes", "explain_face", "reported_classes"]
