"""
The flagship's first weights: read as face-api reads them, and computed with as the network says.

    python -m tests.training.test_face_identity runs/package  # renews golden/face_identity.json by the package's code
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.data import astronaut
from torch import Tensor
from torch.nn import functional as F

from gimefive_hf import GiMeFiveForImageClassification
from training.networks.face_identity import (
    BLOCKS,
    IDENTITY_MEAN,
    face_resnet_config,
    load_face_identity,
    paired_layers,
    read_weights,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "face_identity.json"
PACKAGE = Path(os.environ.get("GIMEFIVE_FACE_API", Path(__file__).parents[2] / "runs" / "package"))
RENEW = "python -m tests.training.test_face_identity PACKAGE"


def crop() -> np.ndarray:
    """A public-domain face, uint8 RGB (150, 150, 3): the side that face-api's network was made for."""
    return astronaut()[50:200, 150:300].copy()


def pixels() -> Tensor:
    """`crop` as the network takes it, (1, 3, 150, 150)."""
    return (torch.from_numpy(crop()) / 255 - torch.tensor(IDENTITY_MEAN)).permute(2, 0, 1)[None].float()


def features(weights: dict[str, np.ndarray], x: Tensor, padded: bool) -> Tensor:
    """
    The last stage's maps out of the package's arrays, without any of our modules: with the package's strided
    convolutions, which have no padding, or with those of our network, which have, and whose last one has no stride.
    """

    def convolved(x: Tensor, name: str, stride: int = 1) -> Tensor:
        filters, bias, scale, shift = (
            torch.from_numpy(weights[f"{name}/{part}"])
            for part in ("conv/filters", "conv/bias", "scale/weights", "scale/biases")
        )
        side = filters.shape[0]
        y = F.conv2d(x, filters.permute(3, 2, 0, 1), bias, stride, side // 2 if padded or stride == 1 else 0)
        return y * scale[:, None, None] + shift[:, None, None]

    x = F.max_pool2d(convolved(x, "conv32_down", 2).relu(), 3, 2, int(padded))
    for names in BLOCKS:
        for name in names:
            stride = 2 if "down" in name and not (padded and name == "conv256_down_out") else 1
            out = convolved(convolved(x, f"{name}/conv1", stride).relu(), f"{name}/conv2")
            if stride == 2:
                x = F.avg_pool2d(x, 2, ceil_mode=padded, count_include_pad=False)
            missing = [0, x.shape[3] - out.shape[3], 0, x.shape[2] - out.shape[2]]
            x = (F.pad(out, missing) + F.pad(x, (0, 0, 0, 0, 0, out.shape[1] - x.shape[1]))).relu()
    return x


def write_package(folder: Path, seed: int) -> None:
    """Random weights of the package's shapes in its format: filters and scales as uint8, the others as float32."""
    random, data, entries = np.random.default_rng(seed), b"", []
    for name, conv, _ in paired_layers(GiMeFiveForImageClassification(face_resnet_config())):
        width, given, side, _ = conv.weight.shape
        reach = float((6 / (given * side * side)) ** 0.5)
        shapes = {"conv/filters": (side, side, given, width), "conv/bias": (width,)}
        for part, shape in (shapes | {"scale/weights": (width,), "scale/biases": (width,)}).items():
            entry: dict = {"name": f"{name}/{part}", "shape": shape, "dtype": "float32"}
            if part in ("conv/filters", "scale/weights"):
                low, high = (-reach, reach) if part == "conv/filters" else (0.3, 0.9)
                entry["quantization"] = {"dtype": "uint8", "scale": (high - low) / 255, "min": low}
                data += random.integers(0, 256, shape, dtype=np.uint8).tobytes()
            else:
                data += random.normal(0, 0.1, shape).astype(np.float32).tobytes()
            entries.append(entry)
    (folder / "face_recognition_model.bin").write_bytes(data)
    (folder / "face_recognition_model-weights_manifest.json").write_text(json.dumps([{"weights": entries}]))


@torch.no_grad()
def check_network(folder: Path) -> Tensor:
    """Our network with the package's weights computes what its arrays say; returns its pooled features (256,)."""
    model = GiMeFiveForImageClassification(face_resnet_config()).eval()
    x = torch.cat([pixels(), pixels().flip(-1)])[..., 19:131, 19:131]  # 112 px, as the network takes them
    load_face_identity(model, folder, x)
    maps = model.gimefive(x).last_hidden_state
    expected = features(read_weights(folder), x, padded=True)
    assert maps.shape == expected.shape == (2, 256, 4, 4)
    torch.testing.assert_close(maps, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))
    return maps[0].mean((1, 2))


def test_random_weights_of_the_packages_format(tmp_path):
    write_package(tmp_path, seed=0)
    first = check_network(tmp_path)
    write_package(tmp_path, seed=1)
    assert (check_network(tmp_path) - first).abs().max() > 1e-2, "other weights, other features"


def test_a_cut_package(tmp_path):
    with pytest.raises(FileNotFoundError, match="unpack the npm package"):
        read_weights(tmp_path)
    write_package(tmp_path, seed=0)
    file = tmp_path / "face_recognition_model.bin"
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(ValueError, match="the manifest describes"):
        read_weights(tmp_path)


@pytest.mark.skipif(not (PACKAGE / "model").is_dir(), reason="no face-api: npm pack @vladmandic/face-api@1.7.15")
def test_parity_with_face_api():
    """The stored descriptor is what face-api's own code gave; the stored features are our network's."""
    stored = json.loads(GOLDEN.read_text())
    weights = read_weights(PACKAGE / "model")
    pooled = features(weights, pixels(), padded=False).mean((2, 3))
    descriptor = (pooled @ torch.from_numpy(weights["fc"]))[0]
    np.testing.assert_allclose(descriptor, stored["descriptor"], atol=1e-4, rtol=0, err_msg=RENEW)
    np.testing.assert_allclose(check_network(PACKAGE / "model"), stored["features"], atol=1e-4, rtol=0, err_msg=RENEW)


def main(package: Path) -> None:
    script = GOLDEN.with_suffix(".mjs")
    done = subprocess.run(["node", script, package], input=crop().tobytes(), capture_output=True, check=True)
    values = {"descriptor": json.loads(done.stdout), "features": check_network(package / "model").tolist()}
    rounded = {name: [round(value, 6) for value in row] for name, row in values.items()}
    GOLDEN.write_text(json.dumps(rounded) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
