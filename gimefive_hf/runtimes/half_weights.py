"""
An ONNX graph with its large weights stored in half precision, where they are the same numbers as in float32.

The checkpoints in the package hold matrices of float16, which the network computes with in float32. An exported graph
has them multiplied with the scales of the batch norms; here both are stored apart, and a cast and a product, which
onnxruntime computes once when it loads the file, bring them together.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALL = 1024  # numbers; less is not worth a node


def store_half(graph: Any, weights: Mapping[str, NDArray[np.float32]]) -> None:
    """
    Halve the initializers of an `onnx.GraphProto`, in place, that are named in `weights` (or end in such a name after a
    dot) and equal them up to a factor per row.

    Weights that float16 cannot hold exactly stay as they are.
    """
    from onnx import TensorProto, helper, numpy_helper

    nodes = []
    for initializer in list(graph.initializer):
        found = numpy_helper.to_array(initializer)
        original = named(weights, initializer.name)
        if original is None or found.dtype != np.float32 or found.size < SMALL or found.shape != original.shape:
            continue
        scale = row_factors(found, original)
        half = original.astype(np.float16)
        if scale is None or not np.array_equal(half.astype(np.float32), original):
            continue
        name = initializer.name
        graph.initializer.remove(initializer)
        graph.initializer.append(numpy_helper.from_array(half, f"{name}.half"))
        if (scale == 1).all():
            nodes.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
            continue
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
        nodes.append(helper.make_node("Cast", [f"{name}.half"], [f"{name}.wide"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [f"{name}.wide", f"{name}.scale"], [name]))
    for node in reversed(nodes):
        graph.node.insert(0, node)


def named(weights: Mapping[str, NDArray[np.float32]], name: str) -> NDArray[np.float32] | None:
    """The weight of that name, with or without what stands before a dot."""
    while name not in weights and "." in name:
        name = name.split(".", 1)[1]
    return weights.get(name)


def row_factors(found: NDArray[np.float32], original: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Factors (rows, 1, …) with which `original` becomes `found` as precisely as float32 tells, or None."""
    a, b = (array.reshape(len(array), -1).astype(np.float64) for array in (found, original))
    norms = (b * b).sum(axis=1)
    scale = np.divide((a * b).sum(axis=1), norms, out=np.ones_like(norms), where=norms > 0)
    shape = (-1,) + (1,) * (found.ndim - 1)
    factors = scale.astype(np.float32).reshape(shape)
    close = np.allclose(original * factors, found, rtol=1e-6, atol=1e-6 * np.abs(found).max())
    return factors if close else None
