"""Settings, networks and batches of the training pipeline, against hand-computed cases."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gimefive_hf.image_processing_gimefive import GiMeFiveImageProcessor
from gimefive_hf.runtimes.predictor import predict_crops
from tests.cases.video_cases import tiny_recognizer
from tests.training.test_train import REPO
from training.corpora.crops import LABELS, NEUTRAL, Crops
from training.loop.batches import Collator, EpochSampler, TrainingImages, mix_up, targets_of, usable
from training.loop.curves import curve_table
from training.loop.held_out import accuracy_and_recall, held_out_scores, probabilities
from training.loop.settings import RECIPES_DIR, add_flags, given_settings, make_settings, read_settings
from training.networks.catalogue import NETWORKS, build_network, load_checkpoint, load_vgg16, trainable_parameters

CHECKPOINTS = REPO / "gimefive_hf" / "checkpoints"


def crops_of(labels: list[str], votes: dict[int, dict[str, float]] | None = None, side: int = 8) -> Crops:
    """Noise images with these labels; `votes` by the image's number."""
    generator = torch.Generator().manual_seed(len(labels))
    table = torch.zeros(len(labels), len(LABELS))
    for image, counts in (votes or {}).items():
        for name, count in counts.items():
            table[image, LABELS.index(name)] = count
    images = torch.randint(0, 256, (len(labels), 1, side, side), generator=generator, dtype=torch.uint8)
    return Crops(
        images, torch.tensor([LABELS.index(n) for n in labels]), table, [f"{i}.jpg" for i in range(len(labels))], {}
    )


def settings(**values):
    return make_settings({"steps": 10} | values, "test")


# Settings


def test_every_committed_recipe_is_valid_and_names_real_networks():
    recipes = sorted(RECIPES_DIR.glob("*.json"))
    assert len(recipes) >= 5
    for path in recipes:
        recipe = read_settings(path)
        assert NETWORKS[recipe.network]
        assert set(json.loads(path.read_text())) - {"comment"} <= set(recipe.to_dict())


def test_flags_override_the_file_and_the_saved_settings_are_read_again(tmp_path):
    (tmp_path / "a.json").write_text('{"comment": "why", "steps": 7, "learning_rate": 0.5, "corpora": {"ck48": 2}}')
    parser = argparse.ArgumentParser()
    add_flags(parser)
    flags = ["--learning-rate", "0.25", "--no-bf16", "--held-out", "raf-db", "ck48", "--epochs", "3"]
    changed = given_settings(parser.parse_args([*flags, "--corpora", '{"tfeid": 1.5}']))
    result = read_settings(tmp_path / "a.json", **changed)
    assert (result.learning_rate, result.bf16, result.held_out) == (0.25, False, ["raf-db", "ck48"])
    assert result.corpora == {"tfeid": 1.5}
    assert (result.steps, result.epochs) == (None, 3.0)
    assert read_settings(tmp_path / "a.json").corpora == {"ck48": 2}
    result.save(tmp_path / "saved.json")
    assert read_settings(tmp_path / "saved.json") == result


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rte": 1.0}, "unknown key 'learning_rte'; did you mean learning_rate"),
        ({"batch_size": "128"}, "batch_size must be int; got '128'"),
        ({"batch_size": True}, "batch_size must be int; got True"),
        ({"steps": None}, "give either steps or epochs"),
        ({"epochs": 2.0}, "give either steps or epochs"),
        ({"classes": 8}, "classes must be one of 6, 7; got 8"),
        ({"classes": True}, "classes must be one of 6, 7; got True"),
        ({"schedule": "linear"}, "schedule must be one of wsd, cosine, constant; got 'linear'"),
        ({"learning_rate": "high"}, r"learning_rate must be float \| int; got 'high'"),
        ({"teacher_weights": [1, -1]}, r"teacher_weights must be positive numbers; got \[1, -1\]"),
        ({"rotation": 200}, "rotation must be between 0 and 180 degrees; got 200"),
        ({"mixup": 1.5}, r"mixup must be in \[0, 1\]; got 1.5"),
        ({"save_every": 0}, "save_every must be positive"),
        ({"held_out": ["gimefive-valid"]}, "held_out must name"),
        ({"network": "resnet"}, "network must be one of"),
    ],
)
def test_wrong_settings(tmp_path, values, message):
    (tmp_path / "wrong.json").write_text(json.dumps({"steps": 5} | values))
    with pytest.raises(ValueError, match=f"wrong.json: .*{message}"):
        read_settings(tmp_path / "wrong.json")


def test_settings_of_before_load_under_their_names_of_today(tmp_path):
    for place in ("gimefive", "gimefive-paper"):  # as these runs left them
        with pytest.warns(FutureWarning, match="average_decay is called ema_decay now"):
            stored = read_settings(CHECKPOINTS / place / "settings.json", ema_decay=0.5)
        before = json.loads((CHECKPOINTS / place / "settings.json").read_text())
        assert stored.decay_fraction == before["fall_share"]
        assert stored.ema_decay == 0.5, "what is given counts, not the file's"
    parser = argparse.ArgumentParser()
    add_flags(parser)
    flags = parser.parse_args(["--average-decay", "0.25", "--fall-share", "0.75"])
    assert given_settings(flags) == {"ema_decay": 0.25, "decay_fraction": 0.75}


def test_settings_file_that_is_none(tmp_path):
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "broken.json").write_text('{"steps": ')
    for name, message in (("list", "one JSON object"), ("broken", "is not JSON"), ("missing", "one of the recipes")):
        with pytest.raises(ValueError, match=message):
            read_settings(tmp_path / f"{name}.json")


# Networks


def test_six_emotions_become_seven_classes_and_are_told_apart_as_before(tmp_path):
    torch.manual_seed(0)
    six, seven = (build_network("gimefive-4", classes, widths=[4, 4], classifier_widths=[8])[0] for classes in (6, 7))
    six.save_pretrained(tmp_path)
    load_checkpoint(seven, tmp_path)
    x = torch.randn(3, 3, 16, 16)
    with torch.no_grad():
        before, after = six.eval()(x).logits, seven.eval()(x).logits
    torch.testing.assert_close(after[:, :NEUTRAL], before)
    assert not after[:, NEUTRAL].any()


@pytest.mark.parametrize("name", [name for name, network in NETWORKS.items() if network.parameters])
def test_parameter_counts_of_the_paper_and_the_slides(name):
    recipe = read_settings(Path(name)) if (RECIPES_DIR / f"{name}.json").is_file() else None
    with torch.device("meta"):
        model, _ = build_network(name, recipe.classes if recipe else 6, recipe.frozen_stages if recipe else 0)
    assert trainable_parameters(model) == NETWORKS[name].parameters


def test_unknown_network_option_and_too_many_frozen_stages():
    with pytest.raises(ValueError, match="GiMeFiveConfig has no widhts"):
        build_network("gimefive-paper", 6, widhts=[4])
    with pytest.raises(ValueError, match=r"network_options: pool_dropout must be in \[0, 1\); got 2.0"):
        build_network("gimefive-paper", 6, pool_dropout=2.0)
    with pytest.raises(ValueError, match="has 5 stages; got frozen_stages=6"):
        build_network("gimefive-paper", 6, 6)


def test_vgg16_weights_compute_what_torchvisions_do(tmp_path):
    from torchvision.models.vgg import cfgs, make_layers

    torch.manual_seed(0)
    theirs = make_layers(cfgs["D"]).eval()  # vgg16().features, without the 120 million weights behind it
    save_file({f"features.{name}": t for name, t in theirs.state_dict().items()}, tmp_path / "vgg16.safetensors")
    model, _ = build_network("vgg16-transfer", 7, image_size=32)
    load_vgg16(model, tmp_path / "vgg16.safetensors")
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        ours = model.eval().gimefive(x).last_hidden_state
        torch.testing.assert_close(ours, theirs(x), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="the network expects"):
        load_vgg16(build_network("gimefive-paper", 6)[0], tmp_path / "vgg16.safetensors")


def test_checkpoint_of_another_architecture(tmp_path):
    small = {"widths": [4, 8], "classifier_widths": [8], "image_size": 16}
    model, _ = build_network("gimefive-paper", 6, **small)
    model.save_pretrained(tmp_path)
    same, _ = build_network("gimefive-paper", 6, **small)
    load_checkpoint(same, tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), same.state_dict().values(), strict=True))
    seven, _ = build_network("gimefive-paper", 7, **small)
    load_checkpoint(seven, tmp_path)  # all but the last layer
    assert torch.equal(seven.classifier[0].weight, model.classifier[0].weight)
    for other in ({"widths": [4, 4]}, {"batch_norm": False}, {"widths": [4, 8, 8]}):
        network, _ = build_network("gimefive-paper", 6, **small | other)
        with pytest.raises(ValueError, match="another architecture"):
            load_checkpoint(network, tmp_path)
    with pytest.raises(ValueError, match=r"no model\.safetensors"):
        load_checkpoint(same, tmp_path / "nowhere")


# Batches


def test_a_teacher_of_the_six_divides_what_is_not_neutral():
    """By hand: FER+ says 4 anger, 6 neutral of a face labelled anger; votes count 30 %, the teacher 60 %."""
    crops = crops_of(["anger", "neutral"], {0: {"anger": 4, "neutral": 6}})
    teacher_probabilities = torch.tensor([[0.0, 0.0, 0.5, 0.5, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    targets = targets_of(crops, settings(classes=7, vote_share=0.3, teacher_share=0.6), teacher_probabilities)
    neutral = 0.3 * 0.6
    anger = 0.4 * (1 - neutral) + 0.6 * (1 - neutral) * 0.5
    expected = torch.tensor([[0, 0, 0.6 * (1 - neutral) * 0.5, anger, 0, 0, neutral], [0, 0, 0, 0, 0, 0, 1.0]])
    torch.testing.assert_close(targets, expected)


def test_targets_by_hand():
    crops = crops_of(
        ["happiness", "neutral", "fear", "anger"],
        votes={0: {"happiness": 6, "neutral": 4}, 1: {"neutral": 10}, 3: {"anger": 1, "disgust": 3}},
    )
    six = targets_of(crops, settings(neutral="uniform", vote_share=0.5))
    happy = 0.5 + 0.5 * (0.6 + 0.4 / 6)
    assert six[0].tolist() == pytest.approx([happy] + [0.5 * 0.4 / 6] * 5)
    assert six[1].tolist() == pytest.approx([1 / 6] * 6)
    assert six[2].tolist() == pytest.approx([0, 0, 0, 0, 0, 1])
    assert six[3].tolist() == pytest.approx([0, 0, 0, 1, 0, 0])  # four votes are too few
    seven = targets_of(crops, settings(classes=7, vote_share=0.5, label_smoothing=0.7))
    assert seven[0].tolist() == pytest.approx([0.3 * 0.8 + 0.1] + [0.1] * 5 + [0.3 * 0.2 + 0.1])
    assert seven[1].tolist() == pytest.approx([0.1] * 6 + [0.4])


def test_a_teachers_share_by_hand():
    """Of targets of known emotions, not of neutral faces, of which a teacher of six classes knows nothing."""
    said = torch.tensor([[0.5, 0.1, 0.1, 0.1, 0.1, 0.1]] * 2)
    targets = targets_of(crops_of(["fear", "neutral"]), settings(neutral="uniform", teacher_share=0.4), said)
    assert targets[0].tolist() == pytest.approx([0.2, 0.04, 0.04, 0.04, 0.04, 0.64])
    assert targets[1].tolist() == pytest.approx([1 / 6] * 6)


def test_neutral_is_dropped_or_kept():
    crops = crops_of(["happiness", "neutral", "fear"])
    assert usable(crops, settings()).labels.tolist() == [0, 5]
    assert usable(crops, settings()).sources == ["0.jpg", "2.jpg"]
    assert len(usable(crops, settings(neutral="uniform"))) == len(usable(crops, settings(classes=7))) == 3


def test_weights_by_hand():
    crops = {"raf-db": crops_of(["happiness"] * 4 + ["fear"]), "ck48": crops_of(["anger", "neutral"])}
    images = TrainingImages(
        crops,
        settings(corpora={"raf-db": 2.0, "ck48": 0.5}, class_exponent=0.5, neutral="uniform", neutral_weight=0.25),
        length=0,
    )
    # raf-db: 4^-½ = 0.5 each and 1 for fear, together 3, scaled to 2 · 5; ck48: 1 and 0.25, scaled to 0.5 · 2.
    assert images.weights().tolist() == pytest.approx([0.5 * 10 / 3] * 4 + [10 / 3] + [0.8, 0.2])


def test_sampler_covers_passes_and_depends_on_seed_only():
    crops = {"raf-db": crops_of(["happiness"] * 30 + ["fear"] * 10)}
    images = TrainingImages(crops, settings(corpora={"raf-db": 1.5}, class_exponent=1.0), length=600)
    items = list(EpochSampler(images))
    assert [position for position, _ in items] == list(range(600))
    assert items == list(EpochSampler(images))
    first = EpochSampler(images).draw_epoch(0)
    assert [image for _, image in items[: len(first)]] == first
    # 60 images a pass on average, the same for both classes: 1 of each happy face, 3 of each fearful one.
    drawn = torch.bincount(
        torch.tensor([image for number in range(200) for image in EpochSampler(images).draw_epoch(number)])
    )
    assert drawn[:30].float().mean() / 200 == pytest.approx(1.0, abs=0.05)
    assert drawn[30:].float().mean() / 200 == pytest.approx(3.0, abs=0.05)
    other = TrainingImages(crops, settings(corpora={"raf-db": 1.5}, class_exponent=1.0, seed=1), length=600)
    assert list(EpochSampler(other)) != items


def test_nothing_to_train_on():
    with pytest.raises(ValueError, match="nothing to train on"):
        EpochSampler(TrainingImages({"raf-db": crops_of(["fear"])}, settings(corpora={"raf-db": 0.0}), length=5))


def test_mixup_by_hand():
    x, y = torch.arange(4.0).reshape(4, 1, 1, 1), torch.eye(4)
    mixed = mix_up(x, y, settings(mixup=1.0, mixup_alpha=5.0), torch.Generator().manual_seed(0))
    # Every target is λ on one class and 1 − λ on another, and the pixels are mixed by the same share.
    expected = (mixed["targets"] * torch.arange(4.0)).sum(1)
    torch.testing.assert_close(mixed["pixel_values"][:, 0, 0, 0], expected)
    assert mixed["targets"].sum(1).tolist() == pytest.approx([1.0] * 4)
    assert ((mixed["targets"] > 0).sum(1) == 2).any()  # a shuffle may leave an image where it was
    same = mix_up(x, y, settings(mixup=0.0), torch.Generator())
    assert same["pixel_values"] is x


def test_a_batch_depends_on_its_position_only():
    crops = {"raf-db": crops_of(["happiness", "fear"] * 4, side=12), "ck48": crops_of(["anger"] * 3, side=9)}
    options = settings(corpora={"raf-db": 1.0, "ck48": 1.0}, mixup=1.0, resampling=1.0)
    processor = GiMeFiveImageProcessor(size={"height": 16, "width": 16})
    items = [(16, 0), (17, 9), (18, 5), (19, 10)]
    one, two = (Collator(TrainingImages(crops, options, 100), processor, 16)(items) for _ in range(2))
    assert torch.equal(one["pixel_values"], two["pixel_values"])
    assert one["pixel_values"].shape == (4, 3, 16, 16)
    later = Collator(TrainingImages(crops, options, 100), processor, 16)(
        [(20 + i, image) for i, (_, image) in enumerate(items)]
    )
    assert not torch.equal(one["pixel_values"], later["pixel_values"])


# Scores and curves


def test_accuracy_and_recall_by_hand():
    logits = torch.tensor([[2.0, 0, 0], [2, 0, 0], [0, 2, 0], [2, 0, 0]])
    accuracy, recall = accuracy_and_recall(logits, torch.tensor([0, 0, 1, 1]))
    assert (accuracy, recall) == (75.0, 75.0)
    accuracy, recall = accuracy_and_recall(logits, torch.tensor([0, 0, 0, 1]))
    assert (accuracy, recall) == pytest.approx((50.0, 100 * (2 / 3 + 0) / 2))


def test_curve_table_join_what_was_logged_at_one_step():
    log = [
        {"step": 10, "loss": 1.0, "epoch": 0.1},
        {"step": 10, "eval_score": 50.0, "epoch": 0.1},
        {"step": 20, "loss": 0.5, "epoch": 0.2},
        {"step": 20, "train_runtime": 5.0, "train_loss": 0.7},
    ]
    assert curve_table(log).to_csv(index=False).split() == ["step,loss,eval_score", "10,1.0,50.0", "20,0.5,"]


@pytest.mark.parametrize("flip_average", [True, False])
def test_selection_sees_what_users_get(flip_average):
    """The views that the config names and no others."""
    fer = tiny_recognizer()
    fer.model.config.flip_average = flip_average
    crops = crops_of(["anger"] * 12, side=40)
    images = crops.images.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
    served = fer.score_crops(images)
    crops = replace(crops, labels=torch.from_numpy(served.argmax(1)))
    np.testing.assert_array_equal(probabilities(fer.predictor, crops).numpy(), served)
    assert held_out_scores(fer.predictor, {"raf-db": crops}, settings())["eval_raf-db_accuracy"] == 100
    one_view = predict_crops(fer.predictor, images, average_views=False)
    assert np.array_equal(one_view, served) != flip_average
