"""The card of a checkpoint that has no other: what it is, how it loads, what it scored on held-out images."""

import json
from pathlib import Path

from huggingface_hub import EvalResult, ModelCardData

from ..modeling_gimefive import GiMeFiveForImageClassification
from .licence import LICENSE, LICENSE_FILE, LICENSE_NAME

RECORDS = ("calibration.json", "reliability.png")
TAGS = ["facial-expression-recognition", "gimefive"]

BODY = """
# {name}

A network that scores an aligned face crop of {side}×{side} px for {classes}: {architecture}, {parameters:,} parameters.
**Scores describe a facial expression, not a feeling.** Made with GiMeFive (arXiv
[2402.15662](https://arxiv.org/abs/2402.15662)).

## Use

The network wants a face, not a photo: a whole photo that is squeezed into its input gets a confident and meaningless
answer. With the package `gimefive_hf`, which finds and aligns the faces first:

```python
import gimefive_hf

fer = gimefive_hf.from_pretrained("{repo}")
for face in fer("photo.jpg"):
    print(face.label, round(face.score, 2), face.box)
```

Without it, for a picture that is one upright face already; `pip install torch torchvision transformers` is enough:

```python
from transformers import pipeline

classify = pipeline("image-classification", model="{repo}", trust_remote_code=True)
print(classify("crop.png"))
```

`onnx/model.onnx`, where it is there, is the same network for onnxruntime and transformers.js: one pass, without the
averaging over mirrored or zoomed images that the configuration may ask for.
"""

LIMITS = """
## Limits

Trained on corpora that their owners give for research: non-commercial use only ([licence]({licence})). Not for
decisions about people; the EU AI Act (Regulation 2024/1689) prohibits inferring emotions at work and in schools, and
elsewhere demands that people be told that such a system looks at them. {measured}
"""


def short_card(checkpoint: Path, model: GiMeFiveForImageClassification, repo: str) -> str:
    """The whole text, with front matter; figures come from `calibration.json` in the checkpoint, if it is there."""
    config, report = model.config, read_report(checkpoint)
    text = BODY.format(
        name=repo.split("/")[-1],
        repo=repo,
        side=config.image_size,
        classes=", ".join(config.id2label.values()),
        architecture=config.architecture,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
    )
    if report:
        text += "\n## Held-out images\n\n| of | n | accuracy in % | expected calibration error |\n|---|---|---|---|\n"
        for name, row in report.items():
            text += f"| {name} | {row['images']:,} | {100 * row['accuracy']:.1f} | {row['calibrated']['ece']:.3f} |\n"
        text += "\nHeld-out images chose and calibrated the model: expect less on others.\n"
        if (checkpoint / RECORDS[1]).is_file():
            text += f"\n![Reliability: how often it is right at each confidence]({RECORDS[1]})\n"
    measured = "" if report else "**It was neither calibrated nor evaluated: its scores are no probabilities yet.**"
    return f"---\n{front_matter(repo, report)}\n---\n{text}{LIMITS.format(licence=LICENSE_FILE, measured=measured)}"


def front_matter(repo: str, report: dict) -> str:
    """The card's YAML, with the held-out figures as results."""
    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type=name,
            dataset_name=name,
            dataset_split="validation",
            metric_type="accuracy",
            metric_name=f"accuracy on {row['images']} held-out images",
            metric_value=float(row["accuracy"]),
        )
        for name, row in report.items()
    ]
    data = ModelCardData(
        language="en",
        license=LICENSE,
        license_name=LICENSE_NAME,
        license_link=LICENSE_FILE,
        library_name="transformers",
        pipeline_tag="image-classification",
        tags=TAGS,
        metrics=["accuracy"],
        model_name=repo.split("/")[-1],
        eval_results=results or None,
    )
    return data.to_yaml()


def read_report(checkpoint: Path) -> dict:
    """Corpus → what calibration measured on its held-out images; empty if it was never calibrated."""
    path = checkpoint / RECORDS[0]
    return json.loads(path.read_text())["held_out"] if path.is_file() else {}
