"""The licence of weights: one name for it, wherever it is told."""

LICENSE = "other"
LICENSE_NAME = "research-only-non-commercial"
# Beside each published model and Space that has weights in it.
LICENSE_FILE = "LICENSE-WEIGHTS.md"
