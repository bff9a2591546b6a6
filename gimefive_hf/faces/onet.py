"""
O-Net, the last network of MTCNN (Zhang et al. 2016, arXiv 1604.02878), which tells faces from what merely looks like
one: a second opinion on doubtful detections. It knows the profiles, hands and hats for which the mesh sees no face.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from .cropping import crop_face
from .detections import Box
from .networks import onnx_session

ONET_SIDE = 48
# It wants a face from forehead to chin, as wide as high; chosen with `FaceDetector.LIKELY`, see training/LOG.md.
ONET_MARGIN, ONET_LIFT = 1.2, 0.14
FILE = "mtcnn_onet.onnx"


def face_likelihood(image: NDArray[np.uint8], box: Box) -> float:
    """How likely the upright `box` (x, y, width, height) of `image`, uint8 RGB, holds a face: in [0, 1]."""
    (likelihoods,) = onnx_session(FILE).run(["softmax_2"], {"input_3": onet_input(image, box)})
    return float(likelihoods[:, 1].mean())


def onet_input(image: NDArray[np.uint8], box: Box) -> NDArray[np.float32]:
    """The box and its mirror image as the network wants them (2, side, side, 3)."""
    crop = crop_face(
        image, box, ONET_MARGIN, ONET_SIDE, lift=ONET_LIFT, least=ONET_MARGIN, border=cv2.BORDER_CONSTANT
    ).image
    columns_first = (crop.astype(np.float32).transpose(1, 0, 2) - 127.5) / 128  # as in MATLAB, its first home
    return np.stack([columns_first, columns_first[::-1]])
