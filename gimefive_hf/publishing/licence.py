"""The licence of weights: one name for it, wherever it is told."""

from pathlib import Path

LICENSE = "other"
LICENSE_NAME = "research-only-non-commercial"
# Its text in the package, and what it is called beside each published model and Space: the Hub links no other name.
LICENSE_TEXT = Path(__file__).parents[1] / "LICENSE-WEIGHTS.md"
LICENSE_FILE = "LICENSE.md"
