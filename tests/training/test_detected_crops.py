"""Training on the crops of our own detector: how they are made, kept, drawn, and what is said where they do not fit."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from gimefive_hf.faces.detector import FaceDetector
from gimefive_hf.image_processing_gimefive import GiMeFiveImageProcessor
from tests.training.test_train import arguments
from tests.training.test_train_parts import crops_of, settings
from training.corpora.crops import Crops, read_crops
from training.detected_crops import cut_crops, moved, with_detected
from training.loop.batches import Collator, TrainingImages
from training.measuring.scenes import make_scene, nearest_face
from training.train import main

SIDE = 96
PLACES = ((0, 0), (4, -4), (-4, 4), (6, 0), (0, 6), (-6, 0), (0, -6), (3, 3))  # pixels by which it is moved


@pytest.fixture(scope="module")
def faces(astronaut) -> Crops:
    """One face at eight places of its image, RGB."""
    photo = Image.fromarray(astronaut)
    boxes = [(160 + x, 40 + y, 290 + x, 170 + y) for x, y in PLACES]
    images = [np.array(photo.crop(box).resize((SIDE, SIDE))) for box in boxes]
    return Crops(
        torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2),
        torch.zeros(8, dtype=torch.long),
        torch.zeros(8, 7),
        [f"{i}.png" for i in range(8)],
    )


def test_searched_and_borrowed_crops_show_the_same_face(faces, tmp_path):
    searched, sources = cut_crops(faces, "raf-db", len(faces), tmp_path)
    assert sorted(sources) == faces.sources and searched.shape == (8, 1, SIDE, SIDE) and searched.dtype == torch.uint8
    some, same_sources = cut_crops(faces, "raf-db", 6, tmp_path)  # the others borrow the boxes of their neighbours
    assert same_sources == sources
    differences = [float((a.float() - b.float()).abs().mean()) for a, b in zip(searched, some, strict=True)]
    assert sum(difference == 0 for difference in differences) >= 6 and 0 < max(differences) < 40
    none, _ = cut_crops(faces.select(torch.arange(1)), "raf-db", 1, tmp_path)
    assert torch.equal(none[0], searched[sources.index("0.png")])


def test_a_face_moved_to_another_scene_stays_at_its_place_of_the_crop(faces):
    image = faces.images[0].permute(1, 2, 0).numpy()
    one, other = make_scene(image, 1, 128), make_scene(image, 2, 96)
    found = nearest_face(one, FaceDetector()(one.image))
    there = moved(found, one, other)
    np.testing.assert_allclose(
        (np.array(there.keypoints) - other.centre) / other.side, (found.keypoints - one.centre) / one.side, atol=1e-6
    )
    again = nearest_face(other, FaceDetector()(other.image))
    assert np.abs(np.array(again.box) - there.box).max() < 0.1 * other.side


def test_crops_come_as_detected_by_the_settings_probability():
    crops = {"raf-db": crops_of(["happiness"] * 200)}
    crops["raf-db"].images.zero_()
    crops["raf-db"].detected = torch.full((100, 1, 8, 8), 255, dtype=torch.uint8)
    crops["raf-db"].detected_at = torch.arange(200).div(2, rounding_mode="floor").where(torch.arange(200) % 2 == 0, -1)

    def drawn(share: float) -> torch.Tensor:
        images = TrainingImages(crops, settings(detected_share=share), length=200)
        collator = Collator(images, GiMeFiveImageProcessor(), 8, staged=True)
        batch = collator([(0, i) for i in range(200)])["crops"]["raf-db"]
        assert (crops["raf-db"].images == 0).all()  # untouched
        return (batch == 255).all(dim=(1, 2, 3))

    assert drawn(0).sum() == 0
    assert drawn(1).tolist() == [i % 2 == 0 for i in range(200)]
    half = drawn(0.5)
    assert 30 < half.sum() < 70 and not half[1::2].any()
    assert torch.equal(half, drawn(0.5))
    kept = crops["raf-db"].select(torch.tensor([2, 5]))
    assert kept.detected_at.tolist() == [1, -1] and len(kept.detected) == 100


def test_files_that_do_not_fit(tmp_path):
    crops = crops_of(["fear", "anger"])
    path = tmp_path / "raf-db.safetensors"
    assert with_detected(crops, tmp_path, "raf-db") is crops
    path.write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="cannot be read as crops"):
        with_detected(crops, tmp_path, "raf-db")

    def write(side: int, sources: list[str]) -> None:
        images = torch.zeros(len(sources), 1, side, side, dtype=torch.uint8)
        save_file({"images": images}, path, metadata={"sources": json.dumps(sources)})

    write(9, ["0.jpg"])
    with pytest.raises(ValueError, match="does not fit raf-db"):
        with_detected(crops, tmp_path, "raf-db")
    write(8, ["other.jpg"])
    with pytest.raises(ValueError, match="0 of which it has"):
        with_detected(crops, tmp_path, "raf-db")
    write(8, ["1.jpg"])
    assert with_detected(crops, tmp_path, "raf-db").detected_at.tolist() == [-1, 0]


def test_a_run_on_detected_crops(corpora, tmp_path, capsys):
    run = arguments(corpora, tmp_path / "run", detected_share=0.5, steps=2, bf16=False)
    assert main(run) == 2
    assert "detected_share needs --detected" in capsys.readouterr().err
    (tmp_path / "detected").mkdir()
    assert main([*run, "--detected", str(tmp_path / "detected")]) == 2
    assert "has crops of none of raf-db, fer2013" in capsys.readouterr().err
    crops = read_crops(corpora, "raf-db", "train", cache=corpora / "cache")
    save_file(
        {"images": 255 - crops.images},
        tmp_path / "detected" / "raf-db.safetensors",
        metadata={"sources": json.dumps(crops.sources)},
    )
    assert main([*run, "--detected", str(tmp_path / "detected")]) == 0
