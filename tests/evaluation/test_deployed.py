"""Photo in, label out: missed faces are wrong, conditions are read off the protocol's name, poses off landmarks."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation.analyses.confidence import best_temperature, confidence_rows, rescale
from evaluation.analyses.deployed import hard_rows, pose_rows
from evaluation.cards.deployed_tables import deployed, hard_faces
from evaluation.metrics import expected_calibration_error
from evaluation.store import PREDICTION_COLUMNS, ModelFacts, Store
from gimefive_hf.emotions import EMOTIONS
from gimefive_hf.faces.landmarks import LANDMARK_GROUPS
from training.measuring.detections import HARD_WAYS
from training.studies.face_poses import measure_poses

FACTS = ModelFacts("gimefive", "0" * 12, "raf-db", 0, 1, 6, "made up", "MIT", "0", "2026-01-01")


def make_store(rows, **extras):
    """`rows` of (protocol, source, answer or None where no face was found); every label is fear."""
    frame = pd.DataFrame([{"protocol": p, "source": s, **({a: 1.0} if a else {})} for p, s, a in rows])
    frame = frame.reindex(columns=PREDICTION_COLUMNS)
    frame["face_found"] = frame[list(EMOTIONS)].notna().any(axis=1)
    frame.loc[frame["face_found"], list(EMOTIONS)] = frame.loc[frame["face_found"], list(EMOTIONS)].fillna(0.0)
    frame = frame.assign(model="gimefive", corpus="raf-db", split="test", label="fear")
    results = pd.DataFrame(columns=["model", "corpus", "split", "subset", "protocol", "classes", "metric", "class"])
    return Store(frame, results, pd.DataFrame(), pd.DataFrame(), {"gimefive": FACTS}, extras=extras)


def test_every_hard_way_is_read_off_its_name():
    store = make_store([(f"detected/{name}", "a", "fear") for name in HARD_WAYS])
    table = hard_rows(store, "gimefive")
    assert len(table) == len(HARD_WAYS)
    assert set(table["condition"]) == {"size", "roll", "darkness", "gaussian_blur", "mask", "glasses"}
    assert table.set_index(["condition", "amount"]).loc[("roll", 45), "right"] == 1
    assert "turned by 45°" in hard_faces(store)


def test_missed_faces_are_wrong_and_the_plain_scene_is_of_the_same_images():
    rows = [("detected/scene-24", s, a) for s, a in (("a", "fear"), ("b", "anger"), ("c", None), ("d", None))]
    rows += [("detected", s, "fear") for s in "abcdefgh"]
    table = hard_rows(make_store(rows), "gimefive").set_index(["condition", "amount"])
    small, plain = table.loc[("size", 24)], table.loc[("size", 128)]
    assert (small["found"], small["right"], small["images"]) == (2, 1, 4)
    assert small["right_low"] < 0.25 < small["right_high"]
    assert (plain["found"], plain["right"], plain["images"]) == (4, 4, 4)


def test_accuracy_by_pose():
    poses = pd.DataFrame(
        {"corpus": "raf-db", "source": ["a", "b", "c"], "eye_distance": 50, "roll": [-3, 12, 0], "yaw": [0, -25, 25]}
    )
    rows = [("detected", "a", "fear"), ("detected", "b", "fear"), ("detected", "c", "anger"), ("detected", "d", None)]
    table = pose_rows(make_store(rows, face_poses=poses), "gimefive").set_index(["pose", "least"])
    assert (table.loc[("roll", 0), "right"], table.loc[("roll", 0), "images"]) == (1, 2)
    assert (table.loc[("roll", 10), "right"], table.loc[("roll", 10), "images"]) == (1, 1)
    assert (table.loc[("yaw", 20), "right"], table.loc[("yaw", 20), "images"]) == (1, 2)
    assert ("yaw", 10) not in table.index


def test_tables_say_what_is_missing():
    store = make_store([("detected", "a", "fear")])
    assert "no model" in deployed(store)
    assert "no hard faces" in hard_faces(store)
    assert pose_rows(store, "gimefive").empty


def test_aligned_crops_of_other_images_are_told_by_their_number():
    told = [("raf-db", 8), ("aggregate", 8), ("affectnet", 4)]
    rows = [
        {"corpus": corpus, "protocol": "detected", "metric": metric, "value": 0.5, "n_scored": n, "n_total": n}
        for corpus, n in told
        for metric in ("faces_found", "accuracy_of_all")
    ]
    rows += [
        {"corpus": corpus, "protocol": "aligned", "metric": "accuracy", "value": 0.75, "n_scored": 8, "n_total": 8}
        for corpus, _ in told
    ]
    common = {
        "model": "gimefive",
        "split": "test",
        "subset": "full",
        "classes": 6,
        "class": "",
        "low": 0.25,
        "high": 1.0,
    }
    store = make_store([("detected", "a", "fear")])
    results = pd.DataFrame(rows).assign(**common)
    line = next(line for line in deployed(replace(store, results=results)).splitlines() if "aligned" in line)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1:] == ["75.0 [25.0, 100.0]", "–", "75.0 [25.0, 100.0]", "75.0 [25.0, 100.0] of 8"]


def test_poses_of_a_made_face():
    points = np.zeros((1, 68, 2), np.float32)
    points[0, LANDMARK_GROUPS["right eye"]], points[0, LANDMARK_GROUPS["left eye"]] = (30, 40), (70, 40)
    points[0, 0], points[0, 16], points[0, 30] = (10, 50), (90, 50), (50, 60)
    assert measure_poses(points)[0] == pytest.approx((40, 0, 0))
    turned = points[..., ::-1].copy() * (1, -1)  # the same, turned a quarter counter-clockwise
    assert measure_poses(turned.astype(np.float32))[0] == pytest.approx((40, -90, 0))
    points[0, 30] = (50 + 44, 60)  # 1.1 half widths off the middle
    assert measure_poses(points)[0, 2] == pytest.approx(45)


def test_temperature_undoes_what_made_the_scores_too_sure():
    generator = np.random.default_rng(0)
    honest = rescale(generator.dirichlet(np.ones(3), 4000), 1)
    labels = np.array([generator.choice(3, p=row) for row in honest])
    sure = rescale(honest, 0.5)
    errors = [expected_calibration_error(p.max(1), p.argmax(1) == labels) for p in (honest, sure)]
    assert errors[0] < 0.03 < 0.1 < errors[1]
    assert best_temperature(sure, labels) == pytest.approx(2, rel=0.1)
    np.testing.assert_allclose(rescale(sure, 2), honest, atol=1e-9)


def test_resting_faces_count_in_the_wild_only_for_a_model_that_knows_neutral():
    store = make_store([("aligned", "a", "fear"), ("aligned", "b", "fear")])
    resting = store.predictions.iloc[:1].assign(corpus="fer2013", source="c", label="neutral", neutral=0.9, fear=0.1)
    store.predictions = pd.concat([store.predictions.assign(neutral=0.0), resting])
    assert confidence_rows(store, "gimefive").set_index("kind")["images"].to_dict() == {"in the wild, aligned crops": 2}
    store.models["gimefive"] = replace(FACTS, classes=7)
    table = confidence_rows(store, "gimefive").set_index("kind")
    assert table["images"].to_dict() == {"in the wild, aligned crops": 3, "resting faces (FER2013's neutral)": 1}
    assert table.loc["in the wild, aligned crops", "accuracy"] == 1
    assert table.loc["resting faces (FER2013's neutral)", "confidence"] == pytest.approx(0.9)
