"""Markdown about the way a photo really goes: photo in, label out."""

from ..analyses.confidence import confidence_rows
from ..analyses.deployed import DEPLOYED, deployed_row, hard_rows, pose_rows, posed_corpora
from ..corpora import title_of
from ..queries import FLAGSHIP, find_row, interval_text, order_models
from ..store import Store
from .markdown import MISSING, markdown_table, percent

HOLDS = 0.05  # calibration error above which a confidence is said not to hold
CONDITIONS = {
    "size": "face {} px wide",
    "roll": "turned by {}°",
    "darkness": "dark, strength {}",
    "gaussian_blur": "blurred, strength {}",
    "mask": "with a mask, strength {}",
    "glasses": "with sunglasses, strength {}",
}


def deployed(store: Store) -> str:
    """Photo in, label out, of every model that went this way, beside the same images as aligned crops."""
    rows: list[list[str]] = []
    sizes: dict[str, int] = {}
    for model in order_models(store):
        found = {c: row for c in DEPLOYED if (row := deployed_row(store, model, c, "faces_found")) is not None}
        if "aggregate" not in found:
            continue  # a part of one corpus says little
        sizes |= {c: row["n_total"] for c, row in found.items()}
        name = f"**{model}**" if model == FLAGSHIP else model
        rows.append([name, *[percent(deployed_row(store, model, c)) for c in DEPLOYED]])
        if model.startswith(FLAGSHIP):
            aligned = {c: find_row(store, model, corpus=c) for c in DEPLOYED}
            # of other images than the column's, as where only a sample went into scenes, the number is said
            other = {c for c, row in aligned.items() if row is not None and c in found and row["n_total"] != sizes[c]}
            cells = [percent(row, n=c in other) for c, row in aligned.items()]
            rows.append([f"{model}, given as aligned crops", *cells])
    if not rows:
        return "_The store has no model that went the way of a photo yet._"
    shares = [deployed_row(store, FLAGSHIP, c, "faces_found") for c in DEPLOYED]
    rows.append(["faces found, % of images", *[percent(row) if row is not None else MISSING for row in shares]])
    header = ["photo in, label out: accuracy in %, six classes [95 % interval]"]
    header += [f"{title_of(c)} test ({sizes[c]:,})" if c in sizes else title_of(c) for c in DEPLOYED]
    note = (
        "Each test image stands in a larger scene; our detector finds the face, crops it, the network reads it. A face "
        "that is not found counts as wrong. Peers get the same crops and are restricted to the six classes."
    )
    return f"{markdown_table(header, rows)}\n\n{note}"


def hard_faces(store: Store, model: str = FLAGSHIP) -> str:
    """Small, turned, dark, blurred and half-hidden faces: found, and right."""
    table = hard_rows(store, model)
    if len(table) < 2:
        return f"_The store has no hard faces of {model} yet._"
    rows = []
    for row in table.itertuples():
        found = interval_text(row.found_share, row.found_low, row.found_high)
        right = interval_text(row.right_share, row.right_low, row.right_high)
        rows.append([CONDITIONS[row.condition].format(row.amount), f"{row.images:,}", found, right])
    header = ["RAF-DB test images in a scene", "images", "found %", "right, of all %"]
    text = markdown_table(header, rows)
    poses = pose_rows(store, model)
    if len(poses):
        rows = [
            [
                f"{r.pose} of {r.least} to {r.most}°",
                f"{r.images:,}",
                interval_text(r.right_share, r.right_low, r.right_high),
            ]
            for r in poses.itertuples()
        ]
        header = ["found test faces, by how they stand", "faces", "right %"]
        text += f"\n\n{markdown_table(header, rows)}"
        text += f"\n\nTest faces of {posed_corpora(store)}; roll and yaw are estimated from the landmarks."
    return text


def confidence(store: Store, model: str = FLAGSHIP) -> str:
    """For which kind of input the confidence holds."""
    table = confidence_rows(store, model)
    if not len(table):
        return f"_The store has no predictions of {model} yet._"
    rows = [
        [
            row.kind,
            f"{row.images:,}",
            *[f"{100 * value:.1f}" for value in (row.accuracy, row.confidence, row.error)],
            f"{row.temperature:.2f}",
            f"{100 * row.best_error:.1f}",
        ]
        for row in table.itertuples()
    ]
    header = ["kind of input", "images", "accuracy %", "mean confidence %", "calibration error %"]
    header += ["temperature that would suit it", "error then %"]
    note = (
        "One temperature, fitted on held-out images in the wild, stands for every kind. The last two columns say what "
        "a further one of each kind's own would give: fitted on these very images, so a bound and not a result."
    )
    for row in table[table["error"] > HOLDS].itertuples():
        way = "low" if row.accuracy > row.confidence else "high"
        note += f" For the kind “{row.kind}” the confidence does not hold: it is too {way}."
    return f"{markdown_table(header, rows)}\n\n{note}"
