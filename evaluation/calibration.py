"""Calibration: temperature, expected calibration error, reliability and the threshold of abstention."""

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from .metrics import expected_calibration_error, reliability, share_interval


def negative_log_likelihood(logits: Tensor, labels: Tensor, temperature: float) -> float:
    """Mean over images; logits (n, labels), labels (n,) all ≥ 0."""
    return torch.nn.functional.cross_entropy(logits.double() / temperature, labels).item()


def fit_temperature(groups: list[tuple[Tensor, Tensor]]) -> float:
    """
    The temperature that minimises the mean over groups of the mean negative log-likelihood of each, so that a large
    corpus does not decide for a small one. `groups`: (logits (n, labels), labels (n,) ≥ 0) per corpus. The loss is
    convex in 1/T and unimodal in log T, so a bounded search finds it. Raises ValueError at the edge of [0.05, 20].
    """

    def loss(log_temperature: float) -> float:
        return float(np.mean([negative_log_likelihood(x, y, np.exp(log_temperature)) for x, y in groups]))

    low, high = np.log(0.05), np.log(20.0)
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-5})
    if not low + 0.01 < found.x < high - 0.01:
        raise ValueError(
            f"the best temperature is at the edge of 0.05–20 ({np.exp(found.x):.3g}): these logits say nothing about "
            "the held-out labels, or separate them perfectly; check that model and images belong together"
        )
    return float(np.exp(found.x))


def confidence_and_hits(logits: Tensor, labels: Tensor, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Largest probability (n,) and whether the answer is right (n,) for every image."""
    confidence, answer = (logits.double() / temperature).softmax(-1).max(-1)
    return confidence.numpy(), (answer == labels).numpy()


def reliability_rows(confidence: np.ndarray, hits: np.ndarray) -> list[dict]:
    """The reliability diagram, as `calibration.json` keeps it: edges, count, confidence, accuracy per bin."""
    diagram = reliability(confidence, hits)
    return [
        {
            "low": index / len(diagram),
            "high": (index + 1) / len(diagram),
            "count": entry.n,
            "confidence": entry.confidence,
            "accuracy": entry.accuracy,
        }
        for index, entry in enumerate(diagram)
        if entry is not None
    ]


def abstention(groups: list[tuple[np.ndarray, np.ndarray]], neutral: np.ndarray, threshold: float) -> dict:
    """
    What a threshold does. `groups`: (confidence, hits) per corpus, each counting the same; `neutral`: confidences of
    neutral faces. risk: share of wrong answers among the accepted; coverage: share accepted; neutral_declined.
    """
    weights = np.concatenate([np.full(len(c), 1 / (len(c) * len(groups))) for c, _ in groups])
    confidence, hits = (np.concatenate([group[i] for group in groups]) for i in (0, 1))
    accepted = confidence >= threshold
    mass = weights[accepted].sum()
    return {
        "threshold": float(threshold),
        "coverage": float(mass),
        "risk": float((weights[accepted] * ~hits[accepted]).sum() / mass) if mass else None,
        "accepted": int(accepted.sum()),
        "images": len(confidence),
        "neutral_declined": float((neutral < threshold).mean()) if len(neutral) else None,
        "neutral_images": len(neutral),
    }


def choose_threshold(groups, neutral: np.ndarray, max_risk: float, min_neutral: float, min_coverage: float) -> dict:
    """
    The lowest threshold on a grid of 0.005 that meets `max_risk` and `min_neutral` (see `abstention`). Raises
    ValueError, with the nearest candidates, if none does or if it would answer fewer than `min_coverage` of the faces.
    """
    candidates = [abstention(groups, neutral, step / 200) for step in range(200)]
    for row in candidates:
        risk_met = row["risk"] is not None and row["risk"] <= max_risk
        if risk_met and (row["neutral_declined"] is None or row["neutral_declined"] >= min_neutral):
            if row["coverage"] >= min_coverage:
                return row
            break
    shown = [row for row in candidates[::20] if row["risk"] is not None]
    lines = []
    for row in shown:
        declined = (
            "no neutral faces" if row["neutral_declined"] is None else f"{row['neutral_declined']:.3f} of neutral"
        )
        lines.append(f"  {row['threshold']:.2f}: risk {row['risk']:.3f}, coverage {row['coverage']:.3f}, {declined}")
    table = "\n".join(lines)
    raise ValueError(
        f"no threshold has risk ≤ {max_risk}, ≥ {min_neutral} of neutral faces declined and coverage ≥ {min_coverage}; "
        f"loosen one of them:\n{table}"
    )


def measure(logits: dict[str, Tensor], labels: dict[str, Tensor], temperature: float) -> dict[str, dict]:
    """Per corpus, over the images whose label the model knows: accuracy, ECE and NLL at `temperature` and at 1."""
    result = {}
    for name in logits:
        known = labels[name] >= 0
        x, y = logits[name][known], labels[name][known]
        row: dict = {"images": int(known.sum())}
        for key, value in (("uncalibrated", 1.0), ("calibrated", temperature)):
            confidence, hits = confidence_and_hits(x, y, value)
            row[key] = {
                "ece": expected_calibration_error(confidence, hits),
                "nll": negative_log_likelihood(x, y, value),
                "mean_confidence": float(confidence.mean()),
                "reliability": reliability_rows(confidence, hits),
            }
        row["accuracy"] = float(hits.mean())
        row["accuracy_interval"] = share_interval(float(hits.mean()), len(hits))
        result[name] = row
    return result


def cross_fitted_ece(logits: dict[str, Tensor], labels: dict[str, Tensor], folds: int = 5) -> dict[str, float]:
    """ECE per corpus where no image is scored at a temperature that it helped to fit: the honest held-out figure."""
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in logits}
    known = {name: (labels[name] >= 0).nonzero()[:, 0] for name in logits}
    order = {
        name: kept[torch.randperm(len(kept), generator=torch.Generator().manual_seed(0))]
        for name, kept in known.items()
    }
    for fold in range(folds):
        fit = {name: torch.cat([o[i::folds] for i in range(folds) if i != fold]) for name, o in order.items()}
        temperature = fit_temperature([(logits[name][i], labels[name][i]) for name, i in fit.items()])
        for name, o in order.items():
            parts[name].append(
                confidence_and_hits(logits[name][o[fold::folds]], labels[name][o[fold::folds]], temperature)
            )
    errors = {}
    for name, rows in parts.items():
        confidence, hits = (np.concatenate(column) for column in zip(*rows, strict=True))
        errors[name] = expected_calibration_error(confidence, hits)
    return errors


def split_neutral(
    logits: dict[str, Tensor], labels: dict[str, Tensor], temperature: float
) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """(confidence, hits) of every corpus's known images; confidences of the images without an output (neutral)."""
    groups, neutral = [], []
    for name in logits:
        known = labels[name] >= 0
        groups.append(confidence_and_hits(logits[name][known], labels[name][known], temperature))
        neutral.append(confidence_and_hits(logits[name][~known], labels[name][~known], temperature)[0])
    return groups, np.concatenate(neutral)
