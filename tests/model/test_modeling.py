"""The networks: the paper's parameter counts, and what users of transformers expect."""

import subprocess
import sys

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification, pipeline

import gimefive_hf
from gimefive_hf import EMOTIONS, GiMeFiveConfig, GiMeFiveForImageClassification, GiMeFiveModel

SIX_BLOCKS = [64, 128, 256, 512, 1024, 2048]
RESIDUAL = dict(architecture="residual", widths=SIX_BLOCKS, se_stages=[0], classifier_widths=[4096, 2048])
VGG = dict(
    widths=[64, 128, 256], depths=[2, 2, 2], share_batch_norm=True, pooling="flatten", classifier_widths=[4096, 1024]
)
SMALL = dict(widths=[4, 8], classifier_widths=[8], image_size=16)
FACE = dict(
    architecture="face-resnet", widths=[4, 8], depths=[1, 2], strides=[1, 2], classifier_widths=[], image_size=32
)
SMALL_VGG = dict(
    widths=[4, 8], depths=[2, 1], share_batch_norm=True, pooling="flatten", classifier_widths=[], image_size=8
)
SMALL_RESIDUAL = dict(
    architecture="residual", widths=[4, 8], se_stages=[0, 1], se_reduction=2, classifier_widths=[6], image_size=8
)

# The paper's Table 2, and its ResNets, which are timm's with a linear layer of six outputs.
PAPER = {
    "5 blocks, BN": ({}, 10_478_086),
    "5 blocks, no BN": (dict(batch_norm=False), 10_474_118),
    "4 blocks": (dict(widths=SIX_BLOCKS[:4], classifier_widths=[1024, 512]), 2_606_086),
    "6 blocks": (dict(widths=SIX_BLOCKS, classifier_widths=[4096, 2048]), 41_950_726),
    "5 blocks, BN, SE": (dict(se_stages=[0]), 10_478_598),
    "residual, SE": (RESIDUAL, 95_051_014),
    "VGG": (VGG, 72_460_742),
    "ResNet18": (dict(architecture="timm", timm_model="resnet18", classifier_widths=[]), 11_179_590),
    "ResNet34": (dict(architecture="timm", timm_model="resnet34", classifier_widths=[]), 21_287_750),
}


def small(**options) -> GiMeFiveForImageClassification:
    """The same small network each time, in eval mode."""
    torch.manual_seed(0)
    return GiMeFiveForImageClassification(GiMeFiveConfig(**SMALL | options)).eval()


NO_DROPOUT = dict(pool_dropout=0.0, classifier_dropout=0.0)


@pytest.mark.parametrize("name", PAPER)
def test_paper_parameter_counts(name):
    options, count = PAPER[name]
    with torch.device("meta"):
        model = GiMeFiveForImageClassification(GiMeFiveConfig(**options))
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == count


def test_paper_network_layer_by_layer():
    """64×64 → five halvings with dropout after all poolings but the last → 1024 → 2048 → 1024 → 6."""
    model = GiMeFiveForImageClassification(GiMeFiveConfig()).eval()
    with torch.no_grad():
        states = model(torch.zeros(1, 3, 64, 64), output_hidden_states=True).hidden_states
    assert [state.shape[1:3] for state in states] == [(3, 64), (64, 32), (128, 16), (256, 8), (512, 4), (1024, 2)]
    dropouts = [type(stage.dropout).__name__ for stage in model.gimefive.stages]
    assert dropouts == ["Dropout"] * 4 + ["Identity"]
    assert {stage.dropout.p for stage in model.gimefive.stages[:4]} == {0.2}
    assert [type(layer).__name__ for layer in model.classifier] == [
        "Linear", "ReLU", "Dropout", "Linear", "ReLU", "Linear",
    ]  # fmt: skip
    assert model.classifier[2].p == 0.5


def test_conv_block_computes_what_the_paper_says():
    """One block by hand: ReLU(BN(conv(x))), 2×2 max-pool, global average, linear."""
    torch.manual_seed(0)
    model = GiMeFiveForImageClassification(GiMeFiveConfig(widths=[5], classifier_widths=[], image_size=8)).eval()
    block = model.gimefive.stages[0]
    x = torch.randn(2, 3, 8, 8)
    by_hand = torch.nn.functional.conv2d(x, block.convs[0].weight, block.convs[0].bias, padding=1)
    by_hand = by_hand / (1 + block.norms[0].eps) ** 0.5  # fresh statistics: mean 0, variance 1
    by_hand = by_hand.clamp(min=0).reshape(2, 5, 4, 2, 4, 2).amax(dim=(3, 5)).mean(dim=(2, 3))
    linear = model.classifier[-1]
    torch.testing.assert_close(model(x).logits, by_hand @ linear.weight.T + linear.bias)


def test_labels_are_the_one_order():
    config = GiMeFiveConfig()
    assert config.id2label == dict(enumerate(EMOTIONS))
    assert EMOTIONS == ("happiness", "surprise", "sadness", "anger", "disgust", "fear")
    assert GiMeFiveConfig(num_labels=7).id2label[6] == "neutral"
    assert GiMeFiveConfig(id2label={0: "no", 1: "yes"}).label2id == {"no": 0, "yes": 1}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (dict(archtecture="conv"), "archtecture"),
        (dict(architecture="transformer"), "architecture must be one of"),
        (dict(architecture="timm"), "timm_model"),
        (dict(timm_model="resnet18"), "timm_model"),
        (dict(widths=[]), "widths"),
        (dict(depths=[1]), "depths"),
        (dict(widths=[4] * 7), "image_size"),
        (dict(se_stages=[5]), "se_stages"),
        (dict(temperature=0.0), "temperature"),
        (dict(pool_dropout=1.5), "pool_dropout"),
        (dict(num_channels=2), "num_channels"),
        (dict(pooling="max"), "pooling"),
        (dict(hidden_act="rleu"), "hidden_act must be one of"),
        (dict(architecture="residual", hidden_act="gelu"), "needs architecture='conv'"),
        (dict(confidence_threshold=2.0), "confidence_threshold"),
        (dict(widths="wide"), "widths"),
        (dict(zoom_average=[3.0]), r"zoom_average must hold factors in \[0.5, 2\]; got \[3.0\]"),
    ],
)
def test_config_names_the_mistake(options, text):
    with pytest.raises(Exception, match=text):
        GiMeFiveConfig(**options)


@pytest.mark.parametrize(
    "options",
    [
        SMALL,
        SMALL_VGG,
        SMALL_RESIDUAL,
        FACE,
        dict(architecture="timm", timm_model="test_resnet", classifier_widths=[], image_size=32),
        dict(architecture="timm", timm_model="test_vit", classifier_widths=[], image_size=160),
    ],
    ids=["conv", "vgg", "residual", "face-resnet", "timm-resnet", "timm-vit"],
)
def test_save_and_load_give_the_same_logits(options, tmp_path):
    torch.manual_seed(0)
    model = GiMeFiveForImageClassification(GiMeFiveConfig(**options)).eval()
    x = torch.randn(2, 3, options["image_size"], options["image_size"])
    model.save_pretrained(tmp_path)
    loaded = GiMeFiveForImageClassification.from_pretrained(tmp_path)
    assert loaded.config.to_diff_dict() == model.config.to_diff_dict()
    with torch.no_grad():
        expected = model(x).logits
        torch.testing.assert_close(loaded(x).logits, expected, rtol=0, atol=1e-5)
    assert expected.std() > 0
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert set(file.keys()) <= set(model.state_dict())


def test_loss_trains_and_matches_cross_entropy():
    model = small(**NO_DROPOUT).train()
    x, labels = torch.randn(8, 3, 16, 16), torch.arange(8) % 6
    output = model(x, labels=labels)
    torch.testing.assert_close(output.loss, torch.nn.functional.cross_entropy(output.logits, labels))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = model(x, labels=labels).loss
        loss.backward()
        optimizer.step()
    assert loss < output.loss / 4


def test_problem_types():
    x = torch.randn(3, 3, 16, 16)
    targets = torch.rand(3, 6)
    output = small(problem_type="multi_label_classification")(x, labels=targets)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(output.logits, targets)
    torch.testing.assert_close(output.loss, expected)
    output = small(id2label={0: "intensity"}, problem_type="regression")(x, labels=torch.rand(3))
    assert output.logits.shape == (3, 1)
    assert output.loss.ndim == 0


def test_outputs_as_tuple_and_hidden_states(tiny_model):
    x = torch.randn(2, 3, 16, 16)
    as_tuple = tiny_model(x, return_dict=False)
    assert isinstance(as_tuple, tuple)
    assert as_tuple[0].shape == (2, 6)
    states = tiny_model(x, output_hidden_states=True).hidden_states
    assert [s.shape[1] for s in states] == [3, 4, 8]
    assert tiny_model(x).hidden_states is None


def test_gradient_checkpointing_changes_nothing():
    x, labels = torch.randn(4, 3, 16, 16), torch.arange(4)
    gradients = []
    for checkpointing in (False, True):
        model = small(**NO_DROPOUT).train()
        if checkpointing:
            model.activation_checkpointing_enable()
            assert all(stage.gradient_checkpointing for stage in model.gimefive.stages)
        model(x, labels=labels).loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    torch.testing.assert_close(*gradients)


def test_temperature_and_flip_average():
    model = small()
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        plain, mirrored = model(x).logits, model(x.flip(-1)).logits
        model.config.temperature = 2.0
        torch.testing.assert_close(model(x).logits, plain / 2)
        model.config.temperature = 1.0
        model.config.flip_average = True
        torch.testing.assert_close(model(x).logits, (plain + mirrored) / 2)


def test_hidden_act_is_used_by_the_blocks_and_the_classifier():
    x = torch.randn(2, 3, 16, 16)
    logits = []
    for name in ("relu", "leaky_relu"):
        model = small(hidden_act=name)
        kinds = [type(m).__name__ for m in model.modules() if type(m).__name__ in ("ReLU", "LeakyReLU")]
        assert kinds == [{"relu": "ReLU", "leaky_relu": "LeakyReLU"}[name]] * 3  # two blocks, one hidden layer
        with torch.no_grad():
            logits.append(model(x).logits)
    assert not torch.allclose(*logits)


def test_zoom_average_is_the_mean_over_zoomed_and_mirrored_images():
    model = small(flip_average=True)
    x = torch.randn(2, 3, 16, 16)
    larger = torch.nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear")[:, :, 8:24, 8:24]
    with torch.no_grad():
        expected = (model(x).logits + model(larger).logits) / 2  # each the mean of itself and its mirror image
        model.config.zoom_average = [2.0]
        torch.testing.assert_close(model(x).logits, expected, atol=1e-5, rtol=0)
        model.config.zoom_average = [1.0]
        found = model(x).logits
        model.config.zoom_average = []
        torch.testing.assert_close(found, model(x).logits, atol=1e-5, rtol=0)


def test_wrong_input_shape_is_named(tiny_model):
    with pytest.raises(
        ValueError, match=r"expected pixel_values of shape \(batch, 3, height, width\); got \(3, 16, 16\)"
    ):
        tiny_model(torch.zeros(3, 16, 16))


def test_auto_classes_and_bundled_name(tiny_checkpoint):
    assert type(AutoConfig.from_pretrained(tiny_checkpoint)) is GiMeFiveConfig
    assert type(AutoModelForImageClassification.from_pretrained(tiny_checkpoint)) is GiMeFiveForImageClassification
    assert type(AutoModel.from_pretrained(tiny_checkpoint)) is GiMeFiveModel
    assert AutoImageProcessor.from_pretrained(tiny_checkpoint).size["height"] == 16


OURS_FIRST = """
import sys
import gimefive_hf
assert "torch" not in sys.modules and "transformers" not in sys.modules
gimefive_hf.GiMeFiveConfig
from transformers import AutoConfig, AutoImageProcessor, AutoModel
"""
THEIRS_FIRST = """
import sys
from transformers import AutoConfig, AutoImageProcessor, AutoModel
import gimefive_hf
"""
KNOWN = """
config = AutoConfig.from_pretrained(sys.argv[1])
model = AutoModel.from_config(config)
processor = AutoImageProcessor.from_pretrained(sys.argv[1])
assert type(config) is gimefive_hf.GiMeFiveConfig and type(model) is gimefive_hf.GiMeFiveModel
assert type(processor) is gimefive_hf.GiMeFiveImageProcessor
print("known")
"""


@pytest.mark.parametrize("start", [OURS_FIRST, THEIRS_FIRST], ids=["one class of ours", "the package, after theirs"])
def test_what_is_enough_for_the_auto_classes(tiny_checkpoint, start):
    call = [sys.executable, "-c", start + KNOWN, str(tiny_checkpoint)]
    result = subprocess.run(call, capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == ("known\n", "")


def test_names_of_the_package():
    assert set(gimefive_hf.__all__) <= set(dir(gimefive_hf))
    assert all(hasattr(gimefive_hf, name) for name in gimefive_hf.__all__)
    with pytest.raises(AttributeError, match="no attribute 'from_pretraind'"):
        _ = gimefive_hf.from_pretraind


def test_pipeline_in_process(tiny_checkpoint, astronaut):
    result = pipeline("image-classification", model=str(tiny_checkpoint))(Image.fromarray(astronaut), top_k=6)
    assert {row["label"] for row in result} == set(EMOTIONS)
    assert sum(row["score"] for row in result) == pytest.approx(1, abs=1e-5)
