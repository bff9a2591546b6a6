"""
Digests of the weights and networks in the package, as `sha256sum --check` reads them.

    python -m training.checkpoints.sums        # writes gimefive_hf/SHA256SUMS; `bundle` does it too
"""

import hashlib
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "gimefive_hf"
PATTERNS = (
    "checkpoints/*/*.safetensors",
    "checkpoints/*/*.onnx",
    "checkpoints/*/*config.json",
    "faces/models/*.onnx",
    "faces/models/*.tflite",
)


def write_sums(package: Path = PACKAGE) -> Path:
    """Write the digests of all files that decide scores; returns the file."""
    files = sorted(path for pattern in PATTERNS for path in package.glob(pattern))
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(package)}\n" for path in files]
    (package / "SHA256SUMS").write_text("".join(lines))
    return package / "SHA256SUMS"


if __name__ == "__main__":
    print(write_sums())
    sys.exit(0)
