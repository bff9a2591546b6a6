"""Where a network looks: a file per method, and the parts of the face. Imports the model's files and `faces`."""

from .methods import METHODS, explain, explain_classes, reported_classes

__all__ = ["METHODS", "explain", "explain_classes", "reported_classes"]
