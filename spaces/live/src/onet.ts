/** O-Net, a second opinion on doubtful detections, as `faces/onet.py` in Python. */

import { cropFace } from "./crop";
import type { Detection } from "./detector";
import type { Facts } from "./facts";
import type { Networks } from "./networks";
import type { Picture } from "./pixels";

/** What O-Net sees of a face: its upright box, columns first, and the mirror image (2, side, side, 3). */
export function onetInput(picture: Picture, face: Detection, { side, margin, lift }: Facts["onet"]): Float32Array {
  const upright = { ...face, keypoints: new Array<number>(12).fill(0) };
  const framing = { margin, lift, least: margin, boxPerEyes: 0, minSide: side, maxSide: side, replicate: false };
  const { rgb } = cropFace(picture, upright, framing);
  const values = new Float32Array(2 * rgb.length);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      for (let channel = 0; channel < 3; channel++) {
        const value = (rgb[3 * (y * side + x) + channel]! - 127.5) / 128;
        values[3 * (x * side + y) + channel] = value;
        values[rgb.length + 3 * ((side - 1 - x) * side + y) + channel] = value;
      }
    }
  }
  return values;
}

/** How likely the box holds a face, in [0, 1]. */
export async function faceLikelihood(picture: Picture, face: Detection, facts: Facts["onet"], network: Networks["onet"]): Promise<number> {
  const [there, mirrored] = await network(onetInput(picture, face, facts));
  return (there! + mirrored!) / 2;
}
