"""`gimefive explain` and the pictures it draws."""

import os

import numpy as np
import pytest
from PIL import Image

from gimefive_hf.cli import main
from gimefive_hf.drawing.explanations import (
    Explained,
    draw_average_maps,
    draw_contact_sheet,
    draw_feature_grid,
    draw_panels,
)
from gimefive_hf.explain import METHODS


def explained(classes: int = 1) -> Explained:
    heat = np.zeros((classes, 16, 16), np.float32)
    heat[:, 4:8, 4:8] = 1
    crop = np.full((32, 32, 3), 128, np.uint8)
    names = ["happiness", "surprise", "sadness", "anger", "disgust", "fear"][:classes]
    points = np.full((68, 2), 16, np.float32)
    return Explained(crop, heat, names, [1 / classes] * classes, points, "because", "face 1")


@pytest.mark.parametrize("method", [m for m in METHODS if m != "cam"])
def test_each_method_draws_a_picture(method, photo, tiny_checkpoint, tmp_path, capsys):
    out = tmp_path / f"{method}.png"
    assert main(["explain", str(photo), "-o", str(out), "--method", method, "--model", str(tiny_checkpoint)]) == 0
    picture = np.asarray(Image.open(out))
    assert picture.ndim == 3
    assert min(picture.shape[:2]) > 150
    assert picture.std() > 10
    text = capsys.readouterr().out
    assert ("mostly from" in text or "no place" in text) == (method != "activations")


@pytest.fixture
def empty(faceless, tmp_path) -> str:
    """A photo without a face."""
    Image.fromarray(faceless).save(tmp_path / "coffee.png")
    return str(tmp_path / "coffee.png")


def test_contact_sheet_and_several_photos(photo, empty, tiny_checkpoint, tmp_path, capsys):
    """A broken photo does not stop the others."""
    (tmp_path / "broken.jpg").write_text("no image")
    out, model = tmp_path / "sheet.png", ["--model", str(tiny_checkpoint)]
    options = ["-o", str(out), "--emotion", "all", "--landmarks", *model, "--color-map", "jet"]
    assert main(["explain", str(photo), empty, str(photo), *options]) == 0
    assert main(["explain", str(photo), empty, str(tmp_path / "broken.jpg"), str(photo), *options]) == 2
    said = capsys.readouterr()
    assert "coffee.png: no face found" in said.out
    assert "broken.jpg: not an image" in said.err, "an input was wrong"
    width, height = Image.open(out).size
    assert width > 2 * height  # two rows of seven pictures
    assert main(["explain", empty, "-o", str(out), "--crops", *model]) == 0, "crops are taken as they are"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--emotion", "joy"], "--emotion takes all, winner, happiness"),
        (["--method", "saliency", "--patch", "4"], "saliency has no option --patch"),
        (["--method", "cam"], "hidden layers"),
        (["--method", "activations", "--layer", "nowhere"], "no layer 'nowhere'"),
        (["--method", "occlusion", "--patch", "500"], "the side of the image"),
    ],
)
def test_mistakes_end_with_code_2_and_a_reason(arguments, message, photo, tiny_checkpoint, tmp_path, capsys):
    out = str(tmp_path / "out.png")
    assert main(["explain", str(photo), "-o", out, "--model", str(tiny_checkpoint), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_bad_photos_and_outputs(photo, empty, tiny_checkpoint, tmp_path, capsys):
    for source, output, message in (
        (empty, "x.png", "no face found in any photo"),
        (tmp_path / "none.png", "x.png", "none.png: no such file"),
        (photo, "x.unknown", "the output must end in .png or"),
    ):
        assert main(["explain", str(source), "-o", str(tmp_path / output), "--model", str(tiny_checkpoint)]) == 2
        assert message in capsys.readouterr().err


def test_a_photo_is_never_replaced(photo, tiny_checkpoint, tmp_path, monkeypatch, capsys):
    """Neither by its own name nor by another way to the same file."""
    before = photo.read_bytes()
    (tmp_path / "link.png").symlink_to(photo.name)
    os.link(photo, tmp_path / "hard.png")
    monkeypatch.chdir(tmp_path)
    for name in (str(photo), f"./{photo.name}", "link.png", "hard.png"):
        assert main(["explain", str(photo), "-o", name, "--model", str(tiny_checkpoint)]) == 2
        assert "would replace the photo" in capsys.readouterr().err
    assert photo.read_bytes() == before


def test_panels_show_the_map_where_it_lies():
    """In the heat map's panel the hot square is bright and the rest is dark, in the even colour map and in jet."""
    for name in ("inferno", "jet"):
        picture = draw_panels([explained()], "cam", name).astype(int)
        heat = picture[:, picture.shape[1] // 3 : 2 * picture.shape[1] // 3]
        hot = (
            (heat[..., 0] > 200) & (heat[..., 2] < 200)
            if name == "inferno"
            else (heat[..., 0] > 120) & (heat[..., 2] < 100)
        )
        assert 0.01 < hot.mean() < 0.3, name
    np.testing.assert_array_equal(draw_panels([explained()], "cam"), draw_panels([explained()], "cam"))


def test_pictures_of_nothing_are_errors():
    for draw in (draw_panels, draw_contact_sheet):
        with pytest.raises(ValueError, match="no face to draw"):
            draw([], "cam")
    with pytest.raises(ValueError, match="expected feature maps"):
        draw_feature_grid(np.zeros((4, 4), np.float32))


def test_contact_sheet_marks_the_winner():
    face = explained(6)
    other = Explained(face.crop, face.heat, face.emotions, [0.9, 0.02, 0.02, 0.02, 0.02, 0.02])
    assert not np.array_equal(draw_contact_sheet([face], "cam"), draw_contact_sheet([other], "cam"))


def test_average_maps_with_differences_and_gaps():
    maps = np.zeros((2, 3, 8, 8), np.float32)
    maps[0, 0, 2, 2] = 0.5
    maps[1, 0, 2, 2] = -0.5
    maps[1, 2] = np.nan
    picture = draw_average_maps(maps, ["a", "b - a"], ["x", "y", "z"], np.ones((2, 3), int), "title", np.ones((68, 2)))
    assert picture.shape[2] == 3
    blue = (picture[..., 2].astype(int) - picture[..., 0]) > 80  # the negative difference
    assert blue.any()
