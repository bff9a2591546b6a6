"""`gimefive train --images`: a folder of one's own images, from the call to a checkpoint that answers."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import HfApi
from PIL import Image

from evaluation.corpora import CORPORA
from gimefive_hf import GiMeFiveForImageClassification, from_pretrained
from gimefive_hf.faces.detector import FaceDetector
from tests.cases.hub_server import TOKEN, hub
from training.own_images import NAME, collect_faces, expression_of, save_face
from training.train import main

FLAGS = ["--steps", "4", "--evaluate-every", "2", "--save-every", "2", "--batch-size", "8", "--frozen-stages", "0"]


@pytest.fixture(autouse=True)
def forget_the_corpus():
    yield
    CORPORA.pop(NAME, None)


@pytest.fixture
def folder(tmp_path) -> Path:
    """60 crops each of two expressions that only brightness tells apart, and files that are of no use."""
    generator = np.random.default_rng(0)
    for name, light in (("Happy", 180), ("anger", 60)):
        for number in range(60):
            place = tmp_path / "mine" / name / f"{number % 2}" / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.normal(light, 20, (24, 24, 3)).clip(0, 255).astype(np.uint8)).save(place)
    (tmp_path / "mine" / "anger" / "broken.jpg").write_text("no picture")
    (tmp_path / "mine" / "grumpy").mkdir()
    (tmp_path / "mine" / "grumpy" / "1.png").write_bytes(place.read_bytes())
    return tmp_path / "mine"


def test_from_a_folder_to_a_model(folder, tiny_checkpoint, tmp_path, capsys):
    out = tmp_path / "run"
    call = ["--images", str(folder), "--crops", "--weights", str(tiny_checkpoint), "--out", str(out), *FLAGS]
    assert main(call) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["120 faces: 60 happiness, 60 anger", f"2 images are left out; {out / 'left_out.csv'} says why"]
    assert [line.split(":")[0] for line in lines[-2:]] == ["before", "after"]
    assert "images set aside" in lines[-1]
    with open(out / "left_out.csv", newline="") as file:
        reasons = {row["file"]: row["reason"] for row in csv.DictReader(file)}
    assert "not an image" in reasons["anger/broken.jpg"]
    assert reasons["grumpy/1.png"].startswith("in no folder called happiness, ")
    model = GiMeFiveForImageClassification.from_pretrained(out / "model")
    before = GiMeFiveForImageClassification.from_pretrained(tiny_checkpoint)
    assert model.config.widths == before.config.widths
    assert not model.classifier[-1].weight.equal(before.classifier[-1].weight), "it has learnt"
    (face,) = from_pretrained(out / "model")(folder / "anger" / "0" / "0.png", crops=True)
    assert face.emotion in model.config.id2label.values()
    (folder / "anger" / "0" / "0.png").unlink()
    assert main([*call[:-2], "--batch-size", "4"]) == 2, "another run in the same folder"
    assert "batch_size was 8, is 4" in capsys.readouterr().err


def test_the_temperature_is_fitted_to_the_held_out_images(folder, tiny_checkpoint, tmp_path, monkeypatch, capsys):
    call = ["--images", str(folder), "--crops", "--weights", str(tiny_checkpoint), "--out", str(tmp_path / "run")]
    before = json.loads((tiny_checkpoint / "config.json").read_text())["temperature"]
    for least, said in ((30, "images are too few"), (1, "held-out images")):
        monkeypatch.setattr("training.own_images.LEAST_TO_CALIBRATE", least)
        assert main([*call, *FLAGS]) == 0
        assert said in capsys.readouterr().out.splitlines()[-3]
        found = json.loads((tmp_path / "run" / "model" / "config.json").read_text())["temperature"]
        assert (found == before) == (least == 30)


def test_what_is_pushed_is_calibrated(folder, tiny_checkpoint, tmp_path, online, monkeypatch):
    call = ["--images", str(folder), "--crops", "--weights", str(tiny_checkpoint), "--out", str(tmp_path / "run")]
    monkeypatch.setattr("training.own_images.LEAST_TO_CALIBRATE", 1)
    with hub() as server:
        monkeypatch.setattr("gimefive_hf.publishing.models.HfApi", lambda: HfApi(server.url, TOKEN))
        assert main([*call, *FLAGS, "--push-to", "user/mine"]) == 0
        pushed = json.loads(server.repos["model", "user/mine"].files["config.json"])["temperature"]
    before = json.loads((tiny_checkpoint / "config.json").read_text())["temperature"]
    assert pushed == json.loads((tmp_path / "run" / "model" / "config.json").read_text())["temperature"] != before


def test_crops_follow_the_photo_and_the_flag(astronaut, tmp_path):
    """What an earlier call left is taken again only for the same photo, cropped the same way."""
    (tmp_path / "fear").mkdir()
    source, target = tmp_path / "fear" / "a.png", tmp_path / "out.png"
    detector = FaceDetector()

    def cut(image: np.ndarray, detector: FaceDetector | None) -> tuple[int, int]:
        Image.fromarray(image).save(source)
        os.utime(source, ns=(0, len(image)))
        save_face(source, target, detector)
        return Image.open(target).size[0], target.stat().st_mtime_ns

    whole, made = cut(astronaut, None)
    assert cut(astronaut, None) == (512, made), "left as it is"
    assert whole == 512 and cut(astronaut, detector)[0] < 200 and cut(astronaut[:400], None)[0] == 512
    assert Image.open(target).size == (512, 400)


def test_photos_are_searched_for_the_largest_face(astronaut, faceless, tmp_path):
    mine = tmp_path / "mine"
    wide = np.concatenate([astronaut, np.full_like(astronaut, 128)], axis=1)
    wide[200:328, 700:828] = np.asarray(Image.fromarray(astronaut).resize((128, 128)))
    for part, name, image in (("train", "happy", wide), ("test", "sad", astronaut), ("test", "sad/more", faceless)):
        (mine / part / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(mine / part / name / "a.png")
    with pytest.raises(
        ValueError, match=r"at least 100 faces of two or more .* found 2 of happiness, sadness"
    ) as error:
        collect_faces(mine, tmp_path / "out", crops=False)
    assert "test/sad/more/a.png: no face found" in str(error.value)
    made = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png"))
    assert made == ["test/sadness/test%2Fsad%2Fa.png.png", "train/happiness/train%2Fhappy%2Fa.png.png"]
    sides = {Image.open(path).size[0] for path in (tmp_path / "out").rglob("*.png")}
    assert all(90 < side < 140 for side in sides), "the face, not the photo, and the larger one"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Happy/a.jpg", ("", "happiness")),
        ("train/fear/x/a.jpg", ("train", "fear")),
        ("set/test/Scared/a.jpg", ("test", "fear")),
        ("test/a.jpg", None),
        ("fear.jpg", None),
    ],
)
def test_what_a_path_says(path, expected):
    assert expression_of(path) == expected


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--images", "nowhere"], "nowhere: no such folder"),
        (["--images", ".", "--data", "."], "leave out --data and --recipe"),
        (["--crops", "--data", "."], "or --images FOLDER"),
        ([], "expected --data DIR, or --images FOLDER"),
    ],
)
def test_mistakes(flags, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*flags, "--out", "run"]) == 2
    assert message in capsys.readouterr().err


def test_settings_fit_the_network(tmp_path, tiny_checkpoint):
    from training.own_images import settings_from

    config = json.loads((tiny_checkpoint / "config.json").read_text())
    (tiny_checkpoint / "config.json").write_text(json.dumps(config | {"temperature": 1.5, "flip_average": True}))
    options = settings_from(tiny_checkpoint)["network_options"]
    assert (options["temperature"], options["flip_average"], options["widths"]) == (1.5, True, [4, 8])
    with pytest.raises(ValueError, match="no checkpoint in"):
        settings_from(tmp_path)
