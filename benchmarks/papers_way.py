"""The scripts of the paper (arXiv 2402.15662) re-created in a few lines: one image at a time, in fp32."""

from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torchvision import transforms

from gimefive_hf import EMOTIONS, GiMeFiveConfig, GiMeFiveForImageClassification

TRANSFORM = transforms.Compose(
    [
        transforms.Resize((64, 64)),
        transforms.Grayscale(num_output_channels=3),
        transforms.ToTensor(),
        transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
    ]
)


def papers_network() -> GiMeFiveForImageClassification:
    """The network with 10,478,086 parameters; random weights, on which its speed does not depend."""
    torch.manual_seed(0)
    return GiMeFiveForImageClassification(GiMeFiveConfig()).eval()


def score_folder(model: GiMeFiveForImageClassification, folder: Path) -> list[list]:
    """The table of a folder of aligned crops: open with PIL, transform, one pass per image."""
    rows = []
    for path in sorted(folder.rglob("*.jpg")):
        image = TRANSFORM(Image.open(path, formats=["JPEG"]).convert("RGB")).unsqueeze(0)
        with torch.no_grad():
            scores = model(image).logits.softmax(1)[0]
        rows.append([path.name, *(round(score, 2) for score in scores.tolist())])
    return rows


class HookedGradCam:
    """Grad-CAM with a forward and a backward hook on the last convolution, and a backward pass per frame."""

    def __init__(self, model: GiMeFiveForImageClassification):
        self.model = model
        layer = model.gimefive.stages[-1].convs[-1]
        layer.register_forward_hook(lambda module, inputs, output: setattr(self, "features", output))
        layer.register_full_backward_hook(lambda module, inputs, outputs: setattr(self, "gradients", outputs[0]))

    def __call__(self, image: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        logits = self.model(image).logits
        self.model.zero_grad()
        logits[0, logits.argmax()].backward()
        weights = self.gradients.mean(dim=(2, 3), keepdim=True)
        heat = (self.features * weights).sum(1).relu()[0].detach().numpy()
        return logits.softmax(1)[0].detach().numpy(), heat / max(heat.max(), 1e-8)


def annotate_video(model: GiMeFiveForImageClassification, source: Path, output: Path) -> int:
    """Haar cascade on every frame, one crop at a time, heat map, box and percentages, mp4v; gives the frames."""
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    cam = HookedGradCam(model)
    capture = cv2.VideoCapture(str(source))
    size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    writer = cv2.VideoWriter(str(output), cv2.VideoWriter.fourcc(*"mp4v"), capture.get(cv2.CAP_PROP_FPS), size)
    frames = 0
    while True:
        good, frame = capture.read()
        if not good:
            break
        for x, y, w, h in cascade.detectMultiScale(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), 1.1, 5, minSize=(40, 40)):
            crop = Image.fromarray(cv2.cvtColor(frame[y : y + h, x : x + w], cv2.COLOR_BGR2RGB))
            scores, heat = cam(TRANSFORM(crop).unsqueeze(0))
            colors = cv2.applyColorMap(np.uint8(255 * cv2.resize(heat, (w, h))), cv2.COLORMAP_JET)
            frame[y : y + h, x : x + w] = cv2.addWeighted(frame[y : y + h, x : x + w], 0.5, colors, 0.5, 0)
            cv2.rectangle(frame, (x, y), (x + w, y + h), (0, 255, 0), 2)
            for row, (name, score) in enumerate(zip(EMOTIONS, scores, strict=True)):
                text = f"{name}: {score:.2f}"
                cv2.putText(frame, text, (x + w + 5, y + 20 + 20 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 255, 0), 1)
        writer.write(frame)
        frames += 1
    capture.release()
    writer.release()
    return frames
