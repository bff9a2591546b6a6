"""Teachers and wider starts: matching against hand-computed cases, Net2Net against the network it came from."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gimefive_hf.image_processing_gimefive import GiMeFiveImageProcessor
from tests.training.test_train import arguments
from tests.training.test_train_parts import crops_of, settings
from training.corpora.crops import NEUTRAL
from training.loop.batches import Collator, TrainingImages
from training.loop.teacher_probabilities import stored_probabilities
from training.loop.teachers import Teachers
from training.networks.catalogue import build_network
from training.networks.widening import load_widened
from training.train import main

NARROW = {"widths": [4, 6, 8], "depths": [2, 1, 2], "strides": [1, 2, 2], "image_size": 32}


def save_network(folder, classes: int = 6, seed: int = 0, **options):
    """A random network of the flagship's kind with lively batch norms, and its processor, in `folder`."""
    torch.manual_seed(seed)
    model, processor = build_network("gimefive", classes, **NARROW | options)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return model, processor


# Widening


@pytest.mark.parametrize("factor", [2, 3])
def test_a_widened_network_computes_what_the_narrow_one_does(factor, tmp_path):
    narrow, _ = save_network(tmp_path)
    wide, _ = build_network("gimefive", 6, **NARROW | {"widths": [factor * w for w in NARROW["widths"]]})
    load_widened(wide.eval(), tmp_path, 0.0, torch.Generator())
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(wide(x).logits, narrow(x).logits, rtol=1e-4, atol=1e-5)
        load_widened(wide, tmp_path, 0.1, torch.Generator().manual_seed(1))
        assert not torch.allclose(wide(x).logits, narrow(x).logits, atol=1e-3)
        weight = wide.gimefive.stages[1].blocks[0].conv1.weight
        assert not torch.equal(weight[0], weight[1])  # the copies differ, so they will learn different things


def test_widening_keeps_the_papers_network_too(tmp_path):
    options = {"widths": [4, 8], "classifier_widths": [8], "image_size": 16, "se_stages": [0], "se_reduction": 2}
    torch.manual_seed(3)
    narrow, _ = build_network("gimefive-paper", 6, **options)
    narrow.eval().save_pretrained(tmp_path)
    wide, _ = build_network("gimefive-paper", 6, **options | {"widths": [8, 16]})
    load_widened(wide.eval(), tmp_path, 0.0, torch.Generator())
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(wide(x).logits, narrow(x).logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": [6, 6, 8]}, "no multiple of it"),
        ({"widths": [4, 6, 16]}, "all widths must grow by one factor"),
        ({"widths": [8, 12, 16], "depths": [2, 2, 2]}, "another architecture: only one network has"),
        ({"widths": [2, 3, 4]}, "no multiple of it"),
    ],
)
def test_networks_that_cannot_be_widened(options, message, tmp_path):
    save_network(tmp_path)
    wide, _ = build_network("gimefive", 6, **NARROW | options)
    with pytest.raises(ValueError, match=message):
        load_widened(wide, tmp_path, 0.0, torch.Generator())
    with pytest.raises(ValueError, match="no checkpoint in"):
        load_widened(wide, tmp_path / "nothing", 0.0, torch.Generator())


# Function matching


def test_teachers_see_the_students_batch_in_their_own_way(tmp_path):
    """Two teachers, 3 to 1: one of the student's input, one of another side and normalisation."""
    first, processor = save_network(tmp_path / "a", seed=1)
    second, _ = save_network(tmp_path / "b", seed=2, image_size=48)
    theirs = GiMeFiveImageProcessor(
        size={"height": 48, "width": 48}, image_mean=(0.2, 0.3, 0.4), image_std=(0.5, 0.6, 0.7)
    )
    theirs.save_pretrained(tmp_path / "b")
    teachers = Teachers([tmp_path / "a", tmp_path / "b"], [3.0, 1.0], processor, 6)
    assert teachers.side == 48
    images = torch.randint(0, 256, (2, 3, 48, 48), dtype=torch.uint8)
    x = processor(images, return_tensors="pt", do_resize=False)["pixel_values"]
    with torch.no_grad():
        small = torch.nn.functional.interpolate(x, size=(32, 32), mode="bilinear", antialias=True)
        a = first(small).logits.softmax(1)
        b = second(theirs(images, return_tensors="pt")["pixel_values"]).logits.softmax(1)
    torch.testing.assert_close(teachers(x, torch.zeros(2, 6)), 0.75 * a + 0.25 * b, rtol=1e-4, atol=1e-5)


def test_teachers_of_the_six_for_seven_classes(tmp_path):
    _, processor = save_network(tmp_path)
    teachers = Teachers([tmp_path], [], processor, 7)
    targets = torch.zeros(2, 7)
    targets[0, NEUTRAL], targets[1, 0] = 0.25, 1.0
    said = teachers(torch.randn(2, 3, 32, 32), targets)
    assert said[:, NEUTRAL].tolist() == pytest.approx([0.25, 0])
    assert said.sum(1).tolist() == pytest.approx([1, 1])


def test_teachers_that_do_not_fit(tmp_path):
    _, processor = save_network(tmp_path / "six")
    save_network(tmp_path / "seven", classes=7)
    with pytest.raises(ValueError, match="the teacher seven has the classes"):
        Teachers([tmp_path / "seven"], [], processor, 6)
    with pytest.raises(ValueError, match="different classes from each other"):
        Teachers([tmp_path / "six", tmp_path / "seven"], [], processor, 7)
    with pytest.raises(ValueError, match="teacher_weights has 1 numbers for 2 teachers"):
        Teachers([tmp_path / "six", tmp_path / "six"], [1.0], processor, 6)
    with pytest.raises(ValueError, match="no teacher in"):
        Teachers([tmp_path], [], processor, 6)
    with pytest.raises(ValueError, match="the teacher six sees grey images, the run makes RGB ones"):
        Teachers([tmp_path / "six"], [], GiMeFiveImageProcessor(do_grayscale=False), 6)


def test_a_student_learns_what_its_teachers_say(corpora, tmp_path, capsys):
    """With a share of 1 the labels count for nothing: the loss falls to the teachers' own entropy, no further."""
    for name, seed in (("a", 1), ("b", 2)):
        save_network(tmp_path / name, seed=seed)
    network = {"network": "gimefive", "network_options": NARROW, "neutral": "drop", "bf16": False}
    taught = {"teacher_share": 1.0, "teacher_matching": "batch", "teacher_weights": [1.0, 0.01]}
    run = arguments(corpora, tmp_path / "run", **network, **taught, start="checkpoint", ema_decay=0.0)
    command = [*run, "--weights", str(tmp_path / "a"), "--teacher", str(tmp_path / "a"), str(tmp_path / "b")]
    assert main([*command, "--learning-rate", "1e-9"]) == 0
    before = load_file(tmp_path / "a" / "model.safetensors")
    after = load_file(tmp_path / "run" / "model" / "model.safetensors")
    assert torch.allclose(before["classifier.1.weight"], after["classifier.1.weight"], atol=1e-5)
    assert main([*run, "--weights", str(tmp_path / "a"), "--out", str(tmp_path / "no")]) == 2
    assert "teacher_share needs --teacher" in capsys.readouterr().err
    stored = ["--probabilities", str(tmp_path / "p.npz"), "--out", str(tmp_path / "no")]
    assert main([*run, "--weights", str(tmp_path / "a"), *stored]) == 2
    assert "stored --probabilities know no augmented image" in capsys.readouterr().err
    plain = arguments(corpora, tmp_path / "plain", **network)
    assert main([*plain, "--teacher", str(tmp_path / "a")]) == 2
    assert "--teacher needs a teacher_share above 0" in capsys.readouterr().err
    assert not (tmp_path / "no").joinpath("curves.csv").exists()


def test_matching_moves_the_student_towards_the_teacher(corpora, tmp_path):
    save_network(tmp_path / "teacher", seed=1)
    network = {"network": "gimefive", "network_options": NARROW, "neutral": "drop", "bf16": False}
    taught = {"teacher_share": 1.0, "teacher_matching": "batch", "steps": 30, "learning_rate": 0.01}
    run = arguments(corpora, tmp_path / "run", **network, **taught, log_every=10, save_every=30, evaluate_every=30)
    assert main([*run, "--teacher", str(tmp_path / "teacher")]) == 0
    rows = (tmp_path / "run" / "curves.csv").read_text().splitlines()
    column = rows[0].split(",").index("loss")
    losses = [float(row.split(",")[column]) for row in rows[1:] if row.split(",")[column]]
    assert losses[-1] < losses[0] - 0.05


def test_staged_batches_are_the_same(corpora):
    """What a GPU would finish, finished here, is the batch that the collator makes alone."""
    crops = {"raf-db": crops_of(["happiness", "fear"] * 4, side=12), "ck48": crops_of(["anger"] * 3, side=9)}
    full = dict.fromkeys(("mixup", "resampling", "blur", "jpeg", "noise", "erasing"), 1.0)
    options = settings(corpora={"raf-db": 1.0, "ck48": 1.0}, **full)
    processor = GiMeFiveImageProcessor(size={"height": 16, "width": 16})
    images = TrainingImages(crops, options, 100)
    items = [(16, 0), (17, 9), (18, 5), (19, 10)]
    whole, staged = (Collator(images, processor, 16, staged=late) for late in (False, True))
    batch = staged(items)
    assert {name: part.dtype for name, part in batch["crops"].items()} == {"raf-db": torch.uint8, "ck48": torch.uint8}
    assert batch["crops"]["raf-db"].shape == (2, 1, 12, 12)
    one, two = whole(items), staged.finish(batch)
    assert torch.equal(one["pixel_values"], two["pixel_values"])
    assert torch.equal(one["targets"], two["targets"])


# Stored probabilities


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.full((3, 6), 1 / 6), "expected 2 rows of 6"),
        (np.full((2, 5), 1 / 5), "expected 2 rows of 6"),
        (np.full((2, 6), 1.0), "the rows for raf-db are no probabilities"),
        (np.array([[np.nan] * 6, [1 / 6] * 6]), "are no probabilities"),
        (None, "has none of the corpora raf-db"),
        (b"no zip", "cannot be read as an npz file"),
    ],
)
def test_stored_probabilities_that_do_not_fit(rows, message, tmp_path):
    path, crops = tmp_path / "said.npz", {"raf-db": crops_of(["anger", "fear"])}
    if isinstance(rows, bytes):
        path.write_bytes(rows)
    else:
        np.savez(path, **({"other": np.zeros(3)} if rows is None else {"raf-db": rows.astype(np.float16)}))
    with pytest.raises(ValueError, match=message):
        stored_probabilities(path, crops, 6)


def test_stored_probabilities(tmp_path):
    np.savez(tmp_path / "said.npz", **{"raf-db": np.eye(6)[[3, 5]].astype(np.float16)})
    said = stored_probabilities(tmp_path / "said.npz", {"raf-db": crops_of(["anger", "fear"]), "ck48": crops_of([])}, 7)
    assert said.keys() == {"raf-db"}
    assert said["raf-db"].argmax(1).tolist() == [3, 5]
