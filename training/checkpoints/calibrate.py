"""
Calibrate a trained checkpoint: fit its temperature, choose the confidence under which it abstains.

    python -m training.checkpoints.calibrate --checkpoint DIR --data DIR [--max-risk 0.20] [--test]

The temperature (Guo et al. 2017) minimises the negative log-likelihood on images held out of the training splits
(`corpora/split_lists`, "validation"), each corpus counting the same. The threshold is the lowest confidence at which
the accepted held-out images are wrong in at most `--max-risk` of the cases and at least `--min-neutral` of FER2013's
held-out neutral faces are declined. Both go into `config.json` of the checkpoint; `calibration.json` and
`reliability.png` beside it tell how they came about. `--test` then reports the same figures on the test splits.
"""

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor

from evaluation.calibration import (
    abstention,
    choose_threshold,
    cross_fitted_ece,
    fit_temperature,
    measure,
    split_neutral,
)
from evaluation.corpora import corpora_with
from evaluation.metrics import CALIBRATION_BINS
from gimefive_hf.runtimes.torch_predictor import TorchPredictor
from gimefive_hf.tables import write_whole

from ..corpora.crops import LABELS, Crops, read_crops
from ..script import Script


def raw_logits(predictor: TorchPredictor, crops: Crops, batch: int = 64) -> Tensor:
    """Logits (n, labels) as inference computes them, in float32, before the division by the temperature."""
    images = crops.images.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
    starts = range(0, len(crops), batch)
    rows = [torch.from_numpy(predictor.logits(predictor.prepare(images[at : at + batch]))) for at in starts]
    return torch.cat(rows) * predictor.model.config.temperature


def to_model_labels(labels: Tensor, id2label: dict[int, str]) -> Tensor:
    """Indices into `LABELS` → indices of the model's outputs, -1 where it has none (neutral, for six classes)."""
    outputs = {name: index for index, name in id2label.items()}
    return torch.tensor([outputs.get(name, -1) for name in LABELS])[labels]


def draw_reliability(report: dict[str, dict], path: Path) -> None:
    """One panel per corpus: accuracy against confidence before and after, with the number of images per bin below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.6 * len(report), 4.6), layout="tight")
    axes = figure.subplots(2, len(report), squeeze=False, sharex=True, height_ratios=(3, 1))
    for (top, bottom), (name, row) in zip(axes.T, report.items(), strict=True):
        top.plot([0, 1], [0, 1], color="0.6", linewidth=1)
        for key, color, marker in (("uncalibrated", "#d55e00", "o"), ("calibrated", "#0072b2", "s")):
            table = row[key]["reliability"]
            points = [entry["confidence"] for entry in table], [entry["accuracy"] for entry in table]
            label = f"{key}: ECE {row[key]['ece']:.3f}"
            top.plot(*points, marker + "-", color=color, markersize=4, linewidth=1.2, label=label)
        table = row["calibrated"]["reliability"]
        middles, counts = [(e["low"] + e["high"]) / 2 for e in table], [e["count"] for e in table]
        bottom.bar(middles, counts, 0.9 / CALIBRATION_BINS, color="#0072b2")
        top.set(title=f"{name} (n = {row['images']:,})", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        top.legend(fontsize=7, loc="upper left", frameon=False)
        bottom.set(xlabel="confidence")
    axes[0, 0].set_ylabel("accuracy")
    axes[1, 0].set_ylabel("images")
    figure.savefig(path, dpi=120)


def write_config(checkpoint: Path, **values: float | bool | list[float] | None) -> None:
    """Set values in the checkpoint's `config.json`, atomically, and leave everything else in it as it is."""
    path = checkpoint / "config.json"
    config = json.loads(path.read_text()) | values
    write_whole(path, json.dumps(config, indent=2, sort_keys=True) + "\n")


def calibrate(args: argparse.Namespace) -> dict:
    """Fit, choose, write; returns what `calibration.json` holds. Raises ValueError without a checkpoint."""
    if not (args.checkpoint / "config.json").is_file():
        raise ValueError(f"no checkpoint in {args.checkpoint}: it has no config.json")
    predictor = TorchPredictor.from_pretrained(args.checkpoint)
    model, processor = predictor.model.to(memory_format=torch.channels_last), predictor.processor
    if args.flip_average is not None:
        model.config.flip_average = args.flip_average
    if args.zoom_average is not None:
        model.config.zoom_average = args.zoom_average
    side = None if processor.do_resize else processor.size["height"]

    def collect(split: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        crops = {
            name: read_crops(args.data, name, split, processor.do_grayscale, side, args.cache) for name in args.corpora
        }
        logits = {name: raw_logits(predictor, c) for name, c in crops.items()}
        return logits, {name: to_model_labels(c.labels, model.config.id2label) for name, c in crops.items()}

    logits, labels = collect("validation")
    known = {name: labels[name] >= 0 for name in logits}
    temperature = round(fit_temperature([(logits[n][k], labels[n][k]) for n, k in known.items()]), 4)
    held_out = measure(logits, labels, temperature)
    for name, value in cross_fitted_ece(logits, labels).items():
        held_out[name]["cross_fitted_ece"] = value
    groups, neutral = split_neutral(logits, labels, temperature)
    chosen = choose_threshold(groups, neutral, args.max_risk, args.min_neutral, args.min_coverage)
    report = {
        "temperature": temperature,
        "confidence_threshold": chosen["threshold"],
        "asked": {"max_risk": args.max_risk, "min_neutral": args.min_neutral, "min_coverage": args.min_coverage},
        "flip_average": model.config.flip_average,
        "zoom_average": model.config.zoom_average,
        "held_out": held_out,
        "held_out_abstention": chosen,
        "held_out_risk_coverage": [abstention(groups, neutral, step / 20) for step in range(4, 20)],
    }
    if args.test:
        logits, labels = collect("test")
        report["test"] = measure(logits, labels, temperature)
        report["test_abstention"] = {}
        for name in logits:
            groups, neutral = split_neutral({name: logits[name]}, {name: labels[name]}, temperature)
            report["test_abstention"][name] = abstention(groups, neutral, chosen["threshold"])
    write_config(
        args.checkpoint,
        temperature=temperature,
        confidence_threshold=chosen["threshold"],
        flip_average=model.config.flip_average,
        zoom_average=model.config.zoom_average,
    )
    (args.checkpoint / "calibration.json").write_text(json.dumps(report, indent=1) + "\n")
    draw_reliability(held_out, args.checkpoint / "reliability.png")
    return report


def print_report(report: dict) -> None:
    print(f"temperature {report['temperature']}, confidence threshold {report['confidence_threshold']}")
    for part in ("held_out", "test"):
        for name, row in report.get(part, {}).items():
            low, high = row["accuracy_interval"]
            print(
                f"{part:9} {name:10} n {row['images']:5}  accuracy {100 * row['accuracy']:.1f} "
                f"[{100 * low:.1f}, {100 * high:.1f}]  ECE {row['uncalibrated']['ece']:.3f} → "
                f"{row['calibrated']['ece']:.3f}"
                + (f" (cross-fitted {row['cross_fitted_ece']:.3f})" if "cross_fitted_ece" in row else "")
            )
    rows = {"held out": report["held_out_abstention"]} | report.get("test_abstention", {})
    for name, row in rows.items():
        declined = row["neutral_declined"]
        print(
            f"abstention, {name}: coverage {row['coverage']:.3f}, risk {row['risk']:.3f}, {row['images']} images; "
            + (
                "no neutral faces"
                if declined is None
                else f"{declined:.3f} of {row['neutral_images']} neutral declined"
            )
        )


def main(argv: list[str] | None = None) -> int:
    parser = Script("training.checkpoints.calibrate", __doc__, data=True)
    parser.add_argument(
        "--checkpoint", type=Path, required=True, help="folder of the checkpoint; its config is changed"
    )
    trained, wild = corpora_with(train=True), corpora_with(train=True, setting="wild")
    parser.add_argument("--corpora", nargs="+", choices=trained, default=wild)
    parser.add_argument("--max-risk", type=float, default=0.20, help="share of wrong answers among accepted faces")
    parser.add_argument("--min-neutral", type=float, default=0.6, help="share of held-out neutral faces to be declined")
    parser.add_argument("--min-coverage", type=float, default=0.5, help="share of emotional faces to be answered")
    parser.add_argument(
        "--flip-average",
        action=argparse.BooleanOptionalAction,
        help="first make the checkpoint average the logits of every image and its mirror image, or not",
    )
    parser.add_argument(
        "--zoom-average",
        type=float,
        nargs="*",
        metavar="FACTOR",
        help="first make the checkpoint average the logits of every image and of the image zoomed by these factors",
    )
    parser.add_argument("--cache", type=Path, help="folder of the corpora's caches")
    parser.add_argument("--test", action="store_true", help="afterwards, measure on the test splits too")
    return parser.run(lambda args: print_report(calibrate(args)), argv)


if __name__ == "__main__":
    raise SystemExit(main())
