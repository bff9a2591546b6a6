"""YuNet through OpenCV with a network of its shape, built here: every bright cell is a face. And any other detector."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from gimefive_hf import Detection, ExpressionRecognizer, FaceDetector, crop_face
from gimefive_hf.faces.tracking import FaceTracker
from gimefive_hf.faces.yunet import YuNetDetector

POINTS = (-0.5, -0.5, 0.5, -0.5, 0, 0, -0.4, 0.5, 0.4, 0.5)  # in cells, from the cell's corner
STRIDES = (8, 16, 32)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    constants = {"scale": np.float32(1 / 255), "zero": np.float32(0), "flat": np.array([1, -1, 1])}
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["grey"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["grey", "scale"], ["light"]),
    ]
    for s in STRIDES:
        constants |= {f"box{s}": np.log([1, 1, 2, 2], dtype=np.float32).reshape(1, 1, 4)}
        constants |= {f"points{s}": np.array(POINTS, np.float32).reshape(1, 1, 10)}
        nodes.append(helper.make_node("AveragePool", ["light"], [f"cells{s}"], kernel_shape=[s, s], strides=[s, s]))
        nodes += [helper.make_node("Reshape", [f"cells{s}", "flat"], [f"{name}_{s}"]) for name in ("cls", "obj")]
        nodes.append(helper.make_node("Mul", [f"cls_{s}", "zero"], [f"none{s}"]))
        nodes.append(helper.make_node("Add", [f"none{s}", f"box{s}"], [f"bbox_{s}"]))
        nodes.append(helper.make_node("Add", [f"none{s}", f"points{s}"], [f"kps_{s}"]))
    sizes = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
    given = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 640, 640])]
    wanted = [
        helper.make_tensor_value_info(f"{name}_{s}", TensorProto.FLOAT, [1, None, size])
        for name, size in sizes.items()
        for s in STRIDES
    ]
    known = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "yunet", given, wanted, known)
    path = tmp_path_factory.mktemp("yunet") / "yunet.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def lit(height: int, width: int, x: int, y: int, side: int) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    image[y : y + side, x : x + side] = 255
    return image


def test_boxes_and_key_points_by_hand(weights):
    best = YuNetDetector(weights, min_score=0.5)(lit(96, 128, 64, 32, 32))[0]
    assert best.box[2] == best.box[3]
    assert best.score == pytest.approx(1)
    corner = np.array(best.box[:2]) + best.box[2] / 2  # the box is two cells wide around the cell's corner
    expected = np.array(POINTS).reshape(5, 2) * best.box[2] / 2 + corner
    np.testing.assert_allclose(best.keypoints[:3], expected[:3], atol=1e-3)
    np.testing.assert_allclose(best.keypoints[3], expected[3:].mean(0), atol=1e-3)
    assert np.isnan(best.keypoints[4:]).all()
    assert YuNetDetector(weights)(np.zeros((50, 70, 3), np.uint8)) == []


def test_large_images_are_reduced_and_boxes_are_of_the_whole(weights):
    small = YuNetDetector(weights)(lit(320, 640, 320, 128, 32))
    large = YuNetDetector(weights)(lit(960, 1920, 960, 384, 96))
    assert len(small) == len(large) > 0
    np.testing.assert_allclose([d.box for d in large], 3 * np.array([d.box for d in small]), rtol=0.02)


def test_crops_and_tracks_ask_no_more_of_it(weights):
    detector = YuNetDetector(weights, min_score=0.9)
    tracker, numbers = FaceTracker(detector), []
    for frame in range(4):
        image = lit(96, 160, 64 + 8 * frame, 32, 8)
        (person,) = tracker.update(image, frame / 25, landmarks=True)
        numbers.append(person[0])
        assert crop_face(image, person[1]).image.shape[2] == 3
    assert numbers == [1, 1, 1, 1]


def test_a_function_is_a_detector(bundled, astronaut):
    found = FaceDetector()(astronaut)

    def from_a_list(image: np.ndarray) -> list[Detection]:
        return found

    ours = ExpressionRecognizer(bundled.predictor, detector=from_a_list)
    assert ours(astronaut)[0].scores == bundled(astronaut)[0].scores
    ((number, detection, points),) = FaceTracker(from_a_list).update(astronaut, 0.0, landmarks=True)
    assert (number, detection.box) == (1, found[0].box)
    assert points.shape == (68, 2)


def test_mistakes(weights, tmp_path):
    (tmp_path / "text.onnx").write_text("no network")
    for call, message in (
        (lambda: YuNetDetector(weights, min_score=1.5), "min_score"),
        (lambda: YuNetDetector(tmp_path / "none.onnx"), r"no file none\.onnx: YuNet needs its weights"),
        (lambda: YuNetDetector(tmp_path / "text.onnx"), r"text\.onnx is no YuNet network"),
        (lambda: YuNetDetector(weights)(np.zeros((5, 5), np.uint8)), "uint8 RGB"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert repr(YuNetDetector(weights)) != repr(YuNetDetector(weights, min_score=0.6))
