/** The aligned crop of a face that the network sees, as `crop_face` in Python, and its pixel values. */

import { roll, type Detection } from "./detector";
import type { Facts } from "./facts";
import { levels, look, resizeGrey, rotation, roundEven, toGrey, warpSquare, type Affine, type Picture } from "./pixels";

/** RGB bytes (side, side, 3), and the map from the picture to them. */
export interface Crop {
  rgb: Uint8Array;
  side: number;
  matrix: Affine;
}

export function cropFace(picture: Picture, face: Detection, facts: Facts["crop"]): Crop {
  const [x, y, width, height] = face.box;
  const [rx, ry, lx, ly] = face.keypoints as [number, number, number, number];
  const angle = roll(face);
  // the box of a tilted head comes out too small; its eyes tell
  const span = Math.max(width, height, facts.boxPerEyes * Math.hypot(lx - rx, ly - ry));
  const wanted = facts.margin * span;
  const up = facts.lift * wanted;
  const [cx, cy] = [x + width / 2 + up * Math.sin(angle), y + height / 2 - up * Math.cos(angle)];
  // where the photo ends before the margin does, the crop shrinks about its centre, down to `least` times the box
  const room = roomAt(cx, cy, angle, picture);
  const square = Math.min(Math.max(room, Math.min(facts.least, facts.margin) * span), wanted);
  const side = Math.min(Math.max(roundEven(square), facts.minSide), facts.maxSide);
  const matrix = rotation(cx, cy, angle, side / square, (side - 1) / 2);
  return { rgb: warpSquare(picture, matrix, side, facts.replicate), side, matrix };
}

/** Side of the largest square about a place, turned by `angle`, in the picture. */
function roomAt(x: number, y: number, angle: number, { width, height }: Picture): number {
  return (2 * Math.min(x, y, width - x, height - y)) / (Math.abs(Math.cos(angle)) + Math.abs(Math.sin(angle)));
}

/** The network's input (3, size, size): grey, resized, scaled to [0, 1], normalised. */
export function pixelValues({ rgb, side }: Crop, facts: Facts["network"]): Float32Array {
  const size = facts.imageSize;
  const grey = resizeGrey(toGrey(rgb), side, size);
  const values = new Float32Array(3 * size * size);
  for (let channel = 0; channel < 3; channel++) {
    const [mean, std] = [facts.mean[channel]!, facts.std[channel]!];
    look(grey, levels((level) => (level / 255 - mean) / std), values, channel * grey.length);
  }
  return values;
}

/** The mirror image of the network's input. */
export function flipped(values: Float32Array, size: number): Float32Array {
  return values.map((_, k) => values[k - (k % size) + size - 1 - (k % size)]!);
}
