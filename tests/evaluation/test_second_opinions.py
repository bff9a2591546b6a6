"""Other annotators' opinions: shares counted by hand on a few images, the tables made of them, faulty second labels."""

import numpy as np
import pandas as pd
import pytest
import torch

from evaluation.analyses.second_opinions import (
    OPTIONS,
    annotator_shares,
    fer2013_parts,
    neutral_by_annotators,
    second_label_shares,
)
from evaluation.cards.label_tables import annotators, fer2013_field, labels_sentence, second_labels
from evaluation.store import PREDICTION_COLUMNS, PUBLISHED_COLUMNS, ModelFacts, Store
from gimefive_hf.emotions import EMOTIONS
from training.corpora import CorpusError, crops
from training.corpora.second_labels import read_second_labels
from training.loop.batches import targets_of
from training.loop.settings import make_settings
from training.train import add_second_labels


def make_store(corpus, rows, classes=6, **extras):
    """`rows` of (source, label, answer); every answer has all the probability."""
    frame = pd.DataFrame([{"source": s, "label": label, **{a: 1.0}} for s, label, a in rows])
    frame = frame.reindex(columns=PREDICTION_COLUMNS)
    frame[list(EMOTIONS)] = frame[list(EMOTIONS)].fillna(0.0)
    frame["neutral"] = frame["neutral"].fillna(0.0 if classes == 7 else np.nan)
    frame = frame.assign(model="gimefive", corpus=corpus, split="test", protocol="aligned", face_found=True)
    facts = ModelFacts("gimefive", "0" * 12, "raf-db", 0, 1, classes, "made up", "MIT", "0", "2026-01-01")
    published = pd.DataFrame(
        [["somebody 2020", "a network", 1, "fer2013", "fer2013", "PrivateTest", "accuracy_7", 0.5, 10]],
        columns=PUBLISHED_COLUMNS,
    )
    return Store(frame, pd.DataFrame(), published, pd.DataFrame(), {"gimefive": facts}, extras=extras)


def votes(**counts):
    return [counts.get(name, 0) for name in OPTIONS]


VOTES = pd.DataFrame(
    [
        ["test/happy/PublicTest_1.jpg", *votes(happiness=10)],
        ["test/sad/PublicTest_2.jpg", *votes(anger=8, sadness=2)],  # the label is wrong, the model right
        ["test/fear/PrivateTest_3.jpg", *votes(fear=4, surprise=4)],  # a tie: surprise comes first in EMOTIONS
        ["test/fear/PrivateTest_4.jpg", *votes(fear=4, neutral=6)],  # too few votes for an emotion
    ],
    columns=["source", *OPTIONS],
)
FACES = [
    ("test/happy/PublicTest_1.jpg", "happiness", "happiness"),
    ("test/sad/PublicTest_2.jpg", "sadness", "anger"),
    ("test/fear/PrivateTest_3.jpg", "fear", "fear"),
    ("test/fear/PrivateTest_4.jpg", "fear", "fear"),
    ("test/fear/PrivateTest_5.jpg", "fear", "fear"),  # nobody voted
]


def counts(shares):
    return {(row.subset, row.compared): (row.right, row.images) for row in shares.itertuples()}


def test_majority_of_annotators_by_hand():
    leaked = pd.DataFrame({"corpus": ["fer2013"], "source": ["test/happy/PublicTest_1.jpg"]})
    store = make_store("fer2013", FACES, fer_plus=VOTES, leaked_test_images=leaked)
    got = counts(annotator_shares(store, "gimefive"))
    assert got["all", "model"] == (2, 3)
    assert got["all", "label"] == (1, 3)
    assert got["no tie", "model"] == (2, 2)
    assert got["leak-free", "label"] == (0, 2)
    assert got["8 or more agree", "model"] == (2, 2)
    assert got["4 agree", "model"] == (0, 1)
    assert ("5 agree", "model") not in got
    assert neutral_by_annotators(store) == (1, 4)
    row = annotator_shares(store, "gimefive").iloc[0]
    assert 0 < row["low"] < row["share"] < row["high"] < 1
    assert "| five or more votes for the six | 3 | 66.7 [" in annotators(store)
    assert labels_sentence(store).startswith("The labels are the ceiling: on 3 of")


def test_second_labels_by_hand():
    faces = [
        ("anger/image1.jpg", "anger", "anger"),
        ("anger/image2.jpg", "anger", "fear"),
        ("anger/image3.jpg", "anger", "fear"),
        ("happy/ffhq_4.jpg", "happiness", "happiness"),
    ]
    second = pd.DataFrame({"source": [f[0] for f in faces], "second": ["anger", "fear", "neutral", "happiness"]})
    store = make_store("affectnet", faces, affectnet_second=second)
    got = counts(second_label_shares(store, "gimefive"))
    assert got["AffectNet", "model, folder"] == (1, 2)  # the neutral one is left out
    assert got["AffectNet", "model, second"] == (2, 2)
    assert got["AffectNet", "folder, second"] == (1, 2)
    assert got["AffectNet, both labels agree", "model, folder"] == (1, 1)
    assert got["FFHQ", "model, second"] == (1, 1)
    assert "| FFHQ | 1 | 100.0 [" in second_labels(store)


def test_seven_classes_by_part():
    faces = [*FACES[:4], ("test/neutral/PrivateTest_6.jpg", "neutral", "neutral")]
    store = make_store("fer2013", faces, classes=7)
    got = counts(fer2013_parts(store, "gimefive"))
    assert got == {
        ("PublicTest", "model"): (1, 2),
        ("PrivateTest", "model"): (3, 3),
        ("PrivateTest, neutral faces", "model"): (1, 1),
    }
    assert fer2013_parts(make_store("fer2013", FACES), "gimefive").empty


def test_field_table_has_published_rows_and_says_what_is_missing():
    text = fer2013_field(make_store("fer2013", FACES))
    assert "| *somebody 2020: a network* | – | 50.0 | – | – |" in text
    assert "no FER+ votes" in annotators(make_store("fer2013", FACES))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no second labels here"),
        ("source,second\n", "should have the columns"),
        ("source,folder,second\nanger/a.jpg,anger,anger\nanger/a.jpg,anger,sad\n", "twice, the first is line 3"),
        ("source,folder,second\nanger/a.jpg,anger,joy\n", "none of happiness"),
        ("source,folder,second\nanger/a.jpg,fear,sad\n", "another folder"),
        ("source,folder,second\nanger/b.jpg,anger,sad\n", r"have no row, such as anger/a\.jpg"),
    ],
)
def test_second_labels_that_do_not_fit_are_named(tmp_path, text, message):
    if text is not None:
        (tmp_path / "affectnet_second_labels.csv").write_text(text)
    with pytest.raises(CorpusError, match=message):
        read_second_labels(tmp_path, "affectnet", ["anger/a.jpg"])


def some_crops():
    labels, zeros = torch.tensor([3, 3, 3]), torch.zeros(3, len(crops.LABELS))
    return crops.Crops(torch.zeros(3, 1, 8, 8, dtype=torch.uint8), labels, zeros, ["a/1", "a/2", "a/3"], {})


def test_second_labels_take_their_share_of_the_targets():
    told = crops.with_second(some_crops(), ["fear", "neutral", "contempt"])
    assert told.select(torch.tensor([2, 0])).second.tolist() == [-1, EMOTIONS.index("fear")]
    targets = targets_of(told, make_settings({"steps": 1, "second_share": 0.4}, "test"))
    anger, fear = EMOTIONS.index("anger"), EMOTIONS.index("fear")
    assert targets[0, [anger, fear]].tolist() == pytest.approx([0.6, 0.4])
    assert targets[1].sum() == pytest.approx(1)
    assert targets[1, fear] == pytest.approx(0.4 / 6)  # neutral is spread over the six
    assert targets[2, anger] == 1  # contempt is none of the labels
    unasked = targets_of(told, make_settings({"steps": 1}, "test"))
    assert unasked[:, anger].tolist() == [1, 1, 1]


def test_training_reads_second_labels_and_names_their_lack(tmp_path):
    with pytest.raises(ValueError, match="second_share needs second labels of one of affectnet"):
        add_second_labels({"affectnet": some_crops()}, tmp_path)
    rows = "".join(f"a/{i},a,sad\n" for i in (1, 2, 3))
    (tmp_path / "affectnet_second_labels.csv").write_text(f"source,folder,second\n{rows}")
    got = add_second_labels({"affectnet": some_crops(), "raf-db": some_crops()}, tmp_path)
    assert got["affectnet"].second.tolist() == [EMOTIONS.index("sadness")] * 3
    assert got["raf-db"].second is None
