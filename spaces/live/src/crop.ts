/** The aligned crop of a face that the network sees, as `crop_face` in Python, and its pixel values. */

import { roll, type Detection } from "./detector";
import type { Facts } from "./facts";
import { resizeGrey, rotation, roundEven, toGrey, warpSquare, type Affine, type Picture } from "./pixels";

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
  const side = Math.min(Math.max(roundEven(wanted), facts.minSide), facts.maxSide);
  const lift = facts.lift * wanted;
  const [cx, cy] = [x + width / 2 + lift * Math.sin(angle), y + height / 2 - lift * Math.cos(angle)];
  const matrix = rotation(cx, cy, angle, side / wanted, (side - 1) / 2);
  return { rgb: warpSquare(picture, matrix, side, facts.replicate), side, matrix };
}

/** The network's input (3, size, size): grey, resized, scaled to [0, 1], normalised. */
export function pixelValues({ rgb, side }: Crop, facts: Facts["network"]): Float32Array {
  const size = facts.imageSize;
  const grey = resizeGrey(toGrey(rgb), side, size);
  const values = new Float32Array(3 * size * size);
  for (let channel = 0; channel < 3; channel++) {
    const [mean, std] = [facts.mean[channel]!, facts.std[channel]!];
    for (let k = 0; k < grey.length; k++) values[channel * grey.length + k] = (grey[k]! / 255 - mean) / std;
  }
  return values;
}
